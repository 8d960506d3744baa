"""Who asks, and from where: bearer tokens, Host and Origin. The loopback is no trust boundary: any web page can reach it."""

import hmac
from collections.abc import Iterable
from pathlib import Path

from flyball.errors import Denied, HttpRefused
from flyball.gateway.routes import Door
from flyball.records.permissions import Permission, Role, may

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

Header = tuple[bytes, bytes]


class Tokens:
    """The owner's token and, if there is one, the clients': files that may be replaced while we run."""

    def __init__(self, state_dir: Path, *, tell_path: bool) -> None:
        self._files = {Role.OWNER: state_dir / "token", Role.CLIENT: state_dir / "token.client"}
        self._known: dict[Role, bytes] = {}
        self._stamps: dict[Role, tuple[int, int]] = {}
        self._where = (
            str(state_dir / "token") if tell_path else "the file `token` of the state directory on the gateway's machine"
        )
        self.look()

    def look(self) -> None:
        """Read again what has changed (called several times a second): a replaced token is refused within a second."""
        for role, path in self._files.items():
            try:
                stat = path.stat()
                stamp = (stat.st_mtime_ns, stat.st_ino)
                if self._stamps.get(role) != stamp:
                    self._known[role] = path.read_bytes().strip()
                    self._stamps[role] = stamp
            except OSError:
                self._known.pop(role, None)
                self._stamps.pop(role, None)

    def role(self, authorization: bytes) -> Role:
        """The role of an Authorization header; every comparison takes the same time whatever the token."""
        scheme, _, given = authorization.partition(b" ")
        found = Role.ANONYMOUS
        for role, token in self._known.items():
            if hmac.compare_digest(given.strip(), token) and token and scheme.lower() == b"bearer":
                found = role
        return found

    def permit(self, door: Door, authorization: bytes) -> None:
        """Raises HttpRefused 401 without a valid token, Denied when it does not suffice."""
        if door.permission is Permission.PROBE:
            return
        role = self.role(authorization)
        if may(role, door.permission):
            return
        if role is Role.ANONYMOUS:
            raise HttpRefused(
                401,
                "A token was sent that is not valid here" if authorization else "No token was sent",
                expected="the header `Authorization: Bearer TOKEN`",
                next_step=f"The token is in {self._where}",
                headers=[("www-authenticate", "Bearer")],
            )
        raise Denied(f"the role {role} may not {door.permission}", expected="a token of another role")


class Neighbours:
    """Under which names this gateway may be addressed. Defends against DNS rebinding (Host) and foreign pages (Origin)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = LOOPBACK | {name.lower() for name in names}

    def check(self, headers: Iterable[Header]) -> bytes:
        """Raises HttpRefused; returns the Authorization header (b'' if there is none). One pass: this is the hot path."""
        host: bytes | None = None
        origin: bytes | None = None
        authorization = b""
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    raise HttpRefused(400, "Two Host headers", expected="one")
                host = value
            elif name == b"authorization":
                authorization = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site" and value == b"cross-site":
                raise HttpRefused(
                    403, "The request comes from a foreign web page", expected="a request of this gateway's own clients"
                )
        if host is None:
            raise HttpRefused(400, "No Host header", expected="one")
        if _name_of(host) not in self._names:
            raise HttpRefused(
                421,
                f"This gateway is not called {_printable(host)}",
                expected="its own name",
                next_step="Start it with --allow-host NAME",
            )
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            raise HttpRefused(403, f"The request comes from the page of {_printable(origin)}", expected="no foreign Origin")
        return authorization


def _name_of(host: bytes) -> str:
    """Without the port; IPv6 keeps its brackets."""
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        return text[: text.find("]") + 1]
    return text.partition(":")[0]


def _printable(value: bytes) -> str:
    return ascii(value[:80].decode("latin-1"))
