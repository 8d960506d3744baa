"""Where a worker is: a small file by which the supervisor and control find it."""

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from flyball.machine.birth import birth_of

log = logging.getLogger("flyball.gateway")


class Card:
    """One worker's. Not the reason to answer nobody: where the disk takes no file it is told later."""

    def __init__(self, state_dir: Path, worker: str, started_us: int) -> None:
        self._path = state_dir / "gateways" / f"{worker}.json"
        self._started_us = started_us
        self._ports: dict[str, int] = {}
        self._warned = False
        self.untold = False
        """What was to be told stands nowhere: it is told again."""

    def tell(self, ports: dict[str, int]) -> None:
        """Raises OSError."""
        self._ports, self.untold = ports, True
        self._write()
        self.untold = False

    def tell_again(self) -> None:
        """What was not told; says once why not."""
        try:
            self.tell(self._ports)
        except OSError as failed:
            if not self._warned:
                log.warning("%s cannot be written, so nobody is told where this worker is; it answers: %s", self._path, failed)
            self._warned = True

    def withdraw(self) -> None:
        """Unless a successor has put its own in this place."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            if msgspec.json.decode(self._path.read_bytes())["pid"] == os.getpid():
                self._path.unlink()

    def _write(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        here, birth = self._path.parent.stat(), birth_of(os.getpid())
        facts = {
            "pid": os.getpid(),
            **self._ports,
            "started": self._started_us,
            "device": here.st_dev,
            "inode": here.st_ino,
            **({} if birth.ticks is None else {"ticks": birth.ticks, "boot": birth.boot}),
        }
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(facts))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
