"""Tokens: the owner's, made at the first start, and those that the owner puts beside it; in files that only their owner reads."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from flyball.errors import OperatorError, StoreUnavailable
from flyball.records.permissions import Role

FILES = {Role.CLIENT: "token.client", Role.VIEWER: "token.viewer"}
"""Made by whoever wants them; without the file the role has no token."""


def owner_token(state_dir: Path, make: Callable[[], str]) -> str:
    """The token in `DIR/token`, made by `make` if there is none. Raises OperatorError when others may read it or it is empty."""
    path = state_dir / "token"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        _create(path, make)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise OperatorError(
                f"{path} can be read by others (mode {mode:04o})",
                expected="0600",
                next_step=f"chmod 600 {path}, and replace the token if others use this machine (delete the file, start again)",
            )
        token = path.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror or error}", next_step="give this account the right to write there, or mend the disk"
        ) from error
    if not token:
        raise OperatorError(f"{path} is empty", next_step="delete it and start again: a new token is made")
    return token


def other_tokens(state_dir: Path) -> dict[str, Role]:
    """Token → role, of the files that are there. One that others can read, or that is empty, counts for nothing: `flyball doctor` says so."""
    found: dict[str, Role] = {}
    for role, name in FILES.items():
        try:
            with (state_dir / name).open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    continue
                token = file.read().strip()
        except (OSError, UnicodeDecodeError):
            continue
        if token:
            found[token] = role
    return found


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
