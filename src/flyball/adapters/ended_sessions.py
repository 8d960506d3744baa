"""Sessions of the pages that a person ended: kept until they would have ended by themselves, also over a new start of control."""

import hashlib
import os
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path


class EndedSessions:
    """Of one project. Safe to call from several threads; one process writes."""

    def __init__(self, path: Path | None) -> None:
        """None: remembered in this process alone."""
        self._path = path
        self._lock = threading.Lock()
        self._ended: dict[str, int] | None = None

    def end(self, session: str, until: datetime, now: datetime) -> None:
        """`until`: when it ends by itself. On a disk that takes nothing it is ended for this process."""
        with self._lock:
            ended = self._known()
            ended[_digest(session)] = int(until.timestamp())
            for name in [name for name, ends in ended.items() if ends <= now.timestamp()]:
                del ended[name]
            with suppress(OSError):
                self._write(ended)

    def has(self, session: str) -> bool:
        with self._lock:
            return _digest(session) in self._known()

    def _known(self) -> dict[str, int]:
        if self._ended is None:
            self._ended = _read(self._path) if self._path is not None else {}
        return self._ended

    def _write(self, ended: dict[str, int]) -> None:
        if self._path is None:
            return
        fresh = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{ends} {name}\n" for name, ends in ended.items())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _read(path: Path) -> dict[str, int]:
    """What cannot be read is passed over: it is no reason to let nobody in."""
    found = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in path.read_text(encoding="ascii").splitlines():
            ends, _, name = line.partition(" ")
            if ends.isdigit() and name:
                found[name] = int(ends[:11])
    return found


def _digest(session: str) -> str:
    """The file tells nobody a session."""
    return hashlib.sha256(session.encode("utf-8", "surrogateescape")).hexdigest()
