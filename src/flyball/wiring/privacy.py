"""What this process makes is for this account alone."""

import os
import stat
from pathlib import Path

from flyball.adapters.durable import PRIVATE_UMASK
from flyball.errors import StoreUnavailable


def keep_private(state_dir: Path) -> None:
    """That directory, made if it is not there. Raises StoreUnavailable."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(state_dir.stat().st_mode) & PRIVATE_UMASK:
            state_dir.chmod(0o700)
    except FileExistsError as error:
        raise StoreUnavailable(f"{state_dir} is no directory", next_step="name another one, or move that file away") from error
    except OSError as error:
        raise StoreUnavailable(
            f"{state_dir}: {error.strerror or error}", next_step="let this account own that directory"
        ) from error


def private_process() -> None:
    """For processes that write state."""
    os.umask(PRIVATE_UMASK)
