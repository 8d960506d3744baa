"""Who asks, and from where. The loopback is no trust boundary: every web page that a person opens can reach it."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from flyball.control.ports import Clock
from flyball.errors import Denied, HttpRefused
from flyball.records.permissions import Holder, Role, may
from flyball.web.desk import Sessions
from flyball.web.routes import Door

SESSION = timedelta(hours=12)
"""A day's work; then the token is asked for again."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_BODY = 64 * 1024
"""Bytes. An order is a reason in words."""
_MANY = 20
"""Wrong tokens in a row after which each further one is answered with 429; a right one is always let in."""


NOBODY = Holder(Role.ANONYMOUS)


class Guard:
    """Checks a request before anything else reads it. Keeps one number: how often in a row a wrong token came."""

    def __init__(self, clock: Clock, sessions: Sessions) -> None:
        self._clock = clock
        self._sessions = sessions
        self._wrong = 0

    def neighbour(self, request: Request) -> None:
        """Host and Origin, for all methods: against DNS rebinding and foreign pages. Raises HttpRefused 400, 403, 421."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1:
            raise HttpRefused(400, f"{len(hosts)} Host headers", expected="one")
        host = hosts[0].lower()
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        server = request.scope.get("server")
        port = host[len(name) :].removeprefix(":") or "80"
        if name not in LOOPBACK or (server is not None and server[1] is not None and port != str(server[1])):
            raise HttpRefused(421, f"this server is not called {host[:80]!a}", expected="127.0.0.1 or localhost with its port")
        origins = request.headers.getlist("origin")
        if any(origin.lower() != f"http://{host}" for origin in origins):
            raise HttpRefused(403, f"the request comes from the page of {origins[0][:80]!a}", expected="no foreign Origin")
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise HttpRefused(403, "the request comes from a foreign web page", expected="a request of this server's own pages")

    def caller(self, request: Request, tokens: Mapping[str, Holder]) -> Holder:
        """By bearer token or session cookie. Raises HttpRefused 401 or 429 for one that is wrong; nobody at all is NOBODY."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme:
            known = {token.encode(): holder for token, holder in tokens.items()}
            found = self._match(given.strip(), known) if scheme.lower() == "bearer" else None
        elif (session := request.cookies.get(cookie_of(request))) is not None:
            found = self._of_session(session, tokens) or NOBODY  # an old session is nobody, so that the login can be shown
        else:
            found = NOBODY
        if found is None:
            raise self.wrong_token()
        return found

    def login(self, given: str, tokens: Mapping[str, Holder]) -> str:
        """The session for a token. Raises HttpRefused 401 or 429."""
        token = given.strip()
        if self._match(token, {known.encode(): holder for known, holder in tokens.items()}) is None:
            raise self.wrong_token()
        end = self._clock.now() + SESSION
        while self._sessions.has(session_of(token, end)):  # one that was begun in the same second and logged out
            end += timedelta(seconds=1)
        return session_of(token, end)

    def logout(self, session: str, tokens: Mapping[str, Holder]) -> None:
        """End it, whoever holds a copy. One that is none is passed over: nothing is kept of what anybody may send."""
        if self._of_session(session, tokens) is not None:
            self._sessions.end(session, datetime.fromtimestamp(int(session.partition(".")[0]), UTC), self._clock.now())

    def _of_session(self, session: str, tokens: Mapping[str, Holder]) -> Holder | None:
        """None: its token is no more, its time is over, or it was logged out."""
        ends = session.partition(".")[0]
        if not ends.isascii() or not ends.isdigit() or len(ends) > _SECONDS_DIGITS:
            return None
        end = datetime.fromtimestamp(int(ends), UTC)
        found = self._match(session, {session_of(token, end).encode(): holder for token, holder in tokens.items()})
        return found if end > self._clock.now() and not self._sessions.has(session) else None

    def wrong_token(self) -> HttpRefused:
        self._wrong += 1
        if self._wrong > _MANY:
            return HttpRefused(
                429, "too many wrong tokens", next_step="The right one is in .flyball/token", headers=[("retry-after", "60")]
            )
        headers = [("www-authenticate", "Bearer")]
        return HttpRefused(401, "that token is not valid here", next_step="The right one is in .flyball/token", headers=headers)

    def _match(self, given: str, known: Mapping[bytes, Holder]) -> Holder | None:
        """Every known token is compared, each in the same time, so that the answer's time tells nothing."""
        found: Holder | None = None
        for token, holder in known.items():
            if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token) and token:
                found = holder
        if found is not None:
            self._wrong = 0
        return found


def permit(door: Door, caller: Holder) -> None:
    """Raises HttpRefused 401 for nobody, Denied 403 for somebody who may not."""
    if may(caller.role, door.permission):
        return
    if caller.role is Role.ANONYMOUS:
        headers = [("www-authenticate", "Bearer")]
        expected = "the header `Authorization: Bearer TOKEN`"
        raise HttpRefused(401, "no token was sent", expected=expected, next_step="It is in .flyball/token", headers=headers)
    raise Denied(f"the role {caller.role} may not {door.permission}", expected="a token of another role")


_SECONDS_DIGITS = 11
"""Of a time until the year 5138: more are no time that this server gave."""


def cookie_of(request: Request) -> str:
    """The session's cookie. Cookies know no ports: under one name for all, the projects of a machine would log each other out."""
    server = request.scope.get("server")
    return f"flyball_session_{server[1]}" if server is not None and server[1] is not None else "flyball_session"


def session_of(token: str, end: datetime) -> str:
    """What the cookie holds until `end`: proves that the token was known, and does not tell it. A new token ends all sessions."""
    ends = int(end.timestamp())
    return f"{ends}.{hmac.new(token.encode(), b'flyball session 2 %d' % ends, hashlib.sha256).hexdigest()}"
