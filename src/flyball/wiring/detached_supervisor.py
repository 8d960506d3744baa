"""The process that `flyball up --detach` leaves behind. It only waits, so it imports nothing of the project: an eighth of what the command holds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.adapters import supervisor
from flyball.wiring.privacy import private_process

if TYPE_CHECKING:
    from flyball.control.ports import Say


def command_of(layout: supervisor.Layout) -> tuple[str, ...]:
    """What starts it; all that it has to know is in its arguments."""
    told = msgspec.json.encode(layout, enc_hook=str).decode()
    return sys.executable, "-P", "-m", "flyball.cli.detached_supervisor", told


def supervise_detached(told: str, say: "Say") -> None:
    """Until SIGTERM; SIGHUP replaces the gateway workers one after the other. Raises as `supervisor.held` does."""
    private_process()
    supervisor.supervise(msgspec.json.decode(told, type=supervisor.Layout, dec_hook=_path), say)


def _path(_kind: type, told: Any) -> Path:
    """The only type of a layout that JSON does not have."""
    return Path(told)
