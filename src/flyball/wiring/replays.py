"""Replays, as every door sees them."""

import os
from pathlib import Path

from flyball.control.ports import Say
from flyball.control.replay_comparison import ComparisonReport
from flyball.control.replay_orders import Wanted
from flyball.control.replay_report import ReplayReport
from flyball.wiring.worlds import Home, quiet_libraries


class Replays:
    """What they need is imported when one is lived: the other commands start without it."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def live(self, wanted: Wanted, say: Say) -> ReplayReport:
        """The project as it is, in a state directory of its own."""
        from flyball.wiring.replay import replay, replay_of

        plan = replay_of(self._home, wanted.since, wanted.until)
        return replay(self._home, plan, say, wanted.output or self._home.project_dir, fresh=wanted.fresh)

    def compare(self, wanted: Wanted, names: tuple[str, ...], jobs: int | None, say: Say) -> ComparisonReport:
        """Several policies over the same history. `jobs` None: as many at a time as this process may use cores."""
        from flyball.wiring.replay import replay_of
        from flyball.wiring.replay_policies import Comparison, replay_policies

        plan = replay_of(self._home, wanted.since, wanted.until)
        asked = Comparison(names, jobs or _cores(), wanted.fresh)
        return replay_policies(self._home, plan, asked, say, wanted.output or self._home.project_dir)


def live_child(directory: Path) -> int:
    """One of them, in this process, for the one that compares; its exit code."""
    from flyball.wiring.replay_policies import live_child as live

    quiet_libraries()
    return live(directory)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
