"""Removes segments of a gateway without a control plane when they are as old as its routing file lets them become.

A process that only waits does it: how long is handed over in a file by whoever read the routing file, which takes YAML. It is reckoned from the record that was
written last, and not by the clock alone: without traffic nothing is removed, and a clock that leaps ahead moves it by a part of `keep` for each day that passes.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.adapters.background import Background
from flyball.adapters.capture_removal import newest_us, remove_unwritten
from flyball.adapters.durable import replace_file
from flyball.adapters.saying import unfailing

if TYPE_CHECKING:
    from flyball.control.ports import Say

KEEP = "capture.keep"
"""Of the state directory: seconds."""
LOOK_SECONDS = 300.0
PARTS = 4
"""Of `keep`: one of them in a day is how far what is reckoned from moves beyond the time that has passed."""
_DAY = 86_400.0


def hand_over(state_dir: Path, keep: timedelta | None) -> None:
    """How long segments stay from now on; None: for ever. Raises StoreUnavailable."""
    replace_file(state_dir / KEEP, f"{keep.total_seconds() if keep else 0.0}".encode())


class Reckoning:
    """Up to when segments are old."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._allowed_us: int | None = None
        """Beyond which no clock moves what `keep` is counted back from; None: not yet. It goes on without traffic: that time was lived through, too."""
        self._seen = monotonic()

    def before_us(self, keep_seconds: float, newest: int, now: int) -> int:
        """`newest`: when a segment was written last."""
        passed = self._monotonic() - self._seen
        self._seen += passed
        if self._allowed_us is None:
            # Nobody knows how long nothing ran, so both are believed: a computer without a clock of its own begins in 1970.
            self._allowed_us = max(newest, now)
        else:
            further = self._allowed_us + int(passed * (1.0 + keep_seconds / PARTS / _DAY) * 1e6)
            # A clock that was set back for a while does not take back what was reached: that would be years to make up for.
            self._allowed_us = max(self._allowed_us, min(now, further))
        return min(newest, now, self._allowed_us) - int(keep_seconds * 1e6)


class Retention(Background):
    """`with Retention(…):` removes them at once, and then every few minutes."""

    def __init__(self, state_dir: Path, say: "Say") -> None:
        super().__init__("retention")
        self._state_dir = state_dir
        self._say = unfailing(say)
        self._told = ""
        self._reckoning = Reckoning()

    def _run(self) -> None:
        more = self._looked()
        while not self._end.wait(0.1 if more else LOOK_SECONDS):
            more = self._looked()

    def _looked(self) -> bool:
        """Whether there are others that are old; what goes wrong is told once."""
        try:
            more, self._told = self._remove(), ""
        except (OSError, ValueError) as error:
            words = f"Old segments were not removed from capture/: {error}"
            if words != self._told:
                self._say("bad", words)
            more, self._told = False, words
        return more

    def _remove(self) -> bool:
        """Raises OSError; ValueError where nobody can tell how long they stay."""
        try:
            keep = float((self._state_dir / KEEP).read_text())
        except FileNotFoundError:
            return False
        paths = sorted((self._state_dir / "capture").glob("*.seg"))
        if keep <= 0.0 or not paths:
            return False
        now = int(time.time() * 1e6)  # noqa: TID251 - held against times of files
        removed = remove_unwritten(paths, self._reckoning.before_us(keep, max(newest_us(path.stat()) for path in paths), now))
        if removed.names:
            self._say(
                "plain",
                f"Removed from capture/ by capture.keep: {len(removed.names)} segment{'s' * (len(removed.names) > 1)}, {removed.bytes / 1e6:.1f} MB.",
            )
        return removed.more
