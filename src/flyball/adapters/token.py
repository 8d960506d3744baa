"""Tokens: the owner's, made at the first start, and those that the owner puts beside it; in files that only their owner reads."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flyball.errors import Conflict, Fault, OperatorError, RequestError, StoreUnavailable
from flyball.machine.token_file import read_token
from flyball.records.permissions import Holder, Role, same

FILES = {Role.CLIENT: "token.client", Role.VIEWER: "token.viewer"}
"""Made by whoever wants them; without the file the role has no token."""


def owner_token(state_dir: Path, make: Callable[[], str]) -> str:
    """The token in `DIR/token`, made by `make` if there is none. Raises OperatorError when others may read it or it can be none."""
    path = state_dir / "token"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        _create(path, make)
        found = read_token(path)
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror or error}", next_step="give this account the right to write there, or mend the disk"
        ) from error
    if found.exposed:
        helps = f"chmod 600 {path}, and replace the token if others use this machine (delete the file, start again)"
        raise OperatorError(f"{path} {found.wrong}", expected="0600", next_step=helps)
    if found.wrong:
        raise OperatorError(f"{path} {found.wrong}", next_step="delete it and start again: a new token is made")
    return found.token


NAMED = (Role.APPROVER, Role.OWNER, Role.VIEWER)
"""Roles of the control API and the pages whose token may be one person's."""
_NAME = r"[A-Za-z_][A-Za-z0-9._@-]{0,63}"
"""What accounts are called: who has one may be called the same by token."""


def other_tokens(state_dir: Path) -> dict[str, Holder]:
    """Token → whose, of the files that are there: `token.client`, and `token.ROLE.NAME` of those that say a name. One that others can read, or that
    can be none, counts for nothing: `flyball doctor` says so."""
    files = {name: Holder(role) for role, name in FILES.items()} | {file_of(each): each for each in holders(state_dir)}
    found: dict[str, Holder] = {}
    for name, holder in files.items():
        try:
            read = read_token(state_dir / name)
        except OSError:
            continue
        if not read.wrong:
            found[read.token] = holder
    return found


def holders(state_dir: Path) -> tuple[Holder, ...]:
    """Those who have a token by name, whether or not it counts. Raises StoreUnavailable."""
    try:
        names = sorted(os.listdir(state_dir))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StoreUnavailable(f"{state_dir}: {error.strerror or error}") from error
    found = (re.fullmatch(rf"token\.({'|'.join(NAMED)})\.({_NAME})", name) for name in names)
    return tuple(Holder(Role(each[1]), each[2]) for each in found if each is not None and _is_name(each[2]))


def of_name(state_dir: Path, name: str) -> tuple[Holder, ...]:
    """A person's tokens: one, or more where files were put there by hand. Raises StoreUnavailable."""
    return tuple(each for each in holders(state_dir) if same(each.name, name))


def _is_name(name: str) -> bool:
    return re.fullmatch(_NAME, name) is not None and ".." not in name and name.casefold() not in frozenset(Role)


@contextmanager
def one_at_a_time(state_dir: Path) -> Iterator[None]:
    """Of two who give a token to the same person at the same moment the second one sees the first one's. Raises StoreUnavailable."""
    with ExitStack() as held:
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreUnavailable(f"{state_dir}: {error.strerror or error}") from error
        yield


def refuse_name(state_dir: Path, holder: Holder) -> None:
    """Raises RequestError for a name that cannot be one, Conflict where that person has a token."""
    if not _is_name(holder.name):
        expected = (
            "a person's name: letters, digits, and . _ - @, beginning with a letter or _, at most 64 long; no role, no `..`"
        )
        raise RequestError([Fault("NAME", repr(holder.name[:80]), expected)])
    for found in of_name(state_dir, holder.name):
        raise Conflict(f"{found.name} has a token, as {found.role}", next_step=f"flyball token remove {found.name}")


def give_token(state_dir: Path, holder: Holder, make: Callable[[], str]) -> None:
    """Write the file. Raises StoreUnavailable."""
    path = state_dir / file_of(holder)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        _create(path, make)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def take_token(state_dir: Path, holder: Holder) -> None:
    """Remove the file; one that is gone already is. Raises StoreUnavailable."""
    path = state_dir / file_of(holder)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def file_of(holder: Holder) -> str:
    """Its name in the state directory."""
    return f"token.{holder.role}.{holder.name}"


def _create(path: Path, make: Callable[[], str]) -> None:
    """Whole or not at all: a file that is linked into place is never seen empty by a second process."""
    if path.exists():
        return
    temporary = path.with_name(f".token.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, make().encode() + b"\n")
        os.fsync(descriptor)
        os.link(temporary, path)
    except FileExistsError:
        return  # another process came first: its token counts
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
