"""Who asks, and from where: bearer tokens, Host and Origin. The loopback is no trust boundary: any web page can reach it."""

import hmac
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from flyball.errors import Denied, HttpRefused
from flyball.gateway.routes import Door
from flyball.machine.token_file import read_token
from flyball.records.permissions import Permission, Role, may

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

MAX_SEEN = 256
"""A client may write any port: what is remembered stays small."""

Header = tuple[bytes, bytes]

log = logging.getLogger("flyball.gateway")


class Tokens:
    """The owner's token and, where there are some, those of clients and viewers: files that may be replaced while we run."""

    def __init__(self, state_dir: Path, *, tell_path: bool) -> None:
        self._files = {
            Role.OWNER: state_dir / "token",
            Role.CLIENT: state_dir / "token.client",
            Role.VIEWER: state_dir / "token.viewer",
        }
        self._known: dict[Role, bytes] = {}
        self._stamps: dict[Role, tuple[int, int, int]] = {}
        self._told: dict[Role, str] = {}
        """Why a file gives nobody a right; said once for as long as it lasts."""
        self._where = (
            str(state_dir / "token") if tell_path else "the file `token` of the state directory on the gateway's machine"
        )
        self.look()

    def look(self) -> None:
        """Read again what has changed (called several times a second): a replaced token is refused within a second."""
        for role, path in self._files.items():
            try:
                stat = path.stat()
                stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_mode)
                if self._stamps.get(role) != stamp:
                    self._known.pop(role, None)  # it was replaced, whether or not what came can be read
                    found = read_token(path)
                    if not found.wrong:
                        self._known[role] = found.token.encode()
                    self._tell(role, found.wrong and f"{path} {found.wrong}: nobody gets in by it")
                    self._stamps[role] = stamp
                elif role in self._known:
                    self._tell(role, "")
            except (FileNotFoundError, NotADirectoryError):
                self._known.pop(role, None)
                self._stamps.pop(role, None)
                self._tell(role, "")
            except OSError as unreadable:
                # A disk that fails takes nobody's right away: what is served lies in memory, and so does this.
                if isinstance(unreadable, PermissionError):
                    self._known.pop(role, None)
                self._tell(role, f"{path} cannot be read: {unreadable}")

    def _tell(self, role: Role, words: str) -> None:
        if words and self._told.get(role) != words:
            log.warning("%s", words)
        self._told[role] = words

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
        self._seen: set[bytes] = set()
        """Host headers that were found right: few, since each has one of our names and a port."""

    def check(self, headers: Sequence[Header]) -> bytes:
        """Raises HttpRefused; returns the Authorization header (b'' if there is none)."""
        known = dict(headers)  # in C: this is the hot path
        if len(known) != len(headers) and sum(name == b"host" for name, _ in headers) > 1:
            raise HttpRefused(400, "Two Host headers", expected="one")
        if known.get(b"sec-fetch-site") == b"cross-site":
            raise HttpRefused(
                403, "The request comes from a foreign web page", expected="a request of this gateway's own clients"
            )
        host, origin = known.get(b"host"), known.get(b"origin")
        if host is None:
            raise HttpRefused(400, "No Host header", expected="one")
        if host not in self._seen and not self._is_ours(host):
            raise HttpRefused(
                421,
                f"This gateway is not called {_printable(host)}",
                expected="its own name",
                next_step="Start it with --allow-host NAME",
            )
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            raise HttpRefused(403, f"The request comes from the page of {_printable(origin)}", expected="no foreign Origin")
        return known.get(b"authorization", b"")

    def _is_ours(self, host: bytes) -> bool:
        if _name_of(host) not in self._names:
            return False
        if len(self._seen) < MAX_SEEN:
            self._seen.add(host)
        return True


def _name_of(host: bytes) -> str:
    """Without the port; IPv6 keeps its brackets."""
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        return text[: text.find("]") + 1]
    return text.partition(":")[0]


def _printable(value: bytes) -> str:
    return ascii(value[:80].decode("latin-1"))
