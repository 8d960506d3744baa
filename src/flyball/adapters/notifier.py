"""Notifications as lines of a file, for whoever follows it."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path


class LogNotifier:
    """Appends `TIME SUBJECT WORDS` to `DIR/notifications.log`. A disk that refuses is let be: the ledger has it anyway."""

    def __init__(self, state_dir: Path, now: Callable[[], datetime]) -> None:
        self._path = state_dir / "notifications.log"
        self._now = now

    def notify(self, subject: str, words: str) -> None:
        line = f"{self._now().isoformat()} {subject} {words}"
        one_line = " ".join(line.split())  # what was notified may quote data: it must not forge a second line
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(one_line + "\n")
