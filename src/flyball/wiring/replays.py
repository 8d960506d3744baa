"""Replays, as every door sees them."""

import os
from pathlib import Path

from flyball.control import job_story
from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow
from flyball.control.job_story import JobStory
from flyball.control.ports import Say
from flyball.control.replay_comparison import ComparisonReport
from flyball.control.replay_orders import Wanted
from flyball.control.replay_report import ReplayReport
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.wiring.environment import quiet_libraries
from flyball.wiring.worlds import Home, say_nothing, world_of


class Lived:
    """A replay that was lived, or is being lived, as its own ledger tells of it. What that needs is imported when it is asked for."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def decisions(self, open_only: bool) -> tuple[DecisionRow, ...]:  # noqa: FBT001 - a command's own flag
        from flyball.control import queries

        return queries.decision_rows(self._world(), open_only=open_only)

    def findings(self, open_only: bool) -> tuple[FindingRow, ...]:  # noqa: FBT001 - a command's own flag
        from flyball.control import findings

        return findings.rows(self._world(), open_only=open_only)

    def incidents(self, open_only: bool) -> tuple[IncidentRow, ...]:  # noqa: FBT001 - a command's own flag
        from flyball.control import findings

        return findings.incident_rows(self._world(), open_only=open_only)

    def explain(self, decision_id: str) -> Explanation:
        from flyball.control import explaining

        return explaining.explain(self._world(), decision_id)

    def explain_finding(self, which: str) -> FindingReport:
        from flyball.control import findings

        return findings.explain(self._world(), which)

    def explain_job(self, job: str) -> JobStory:
        return job_story.story(self._world(), job)

    def _world(self) -> World:
        return world_of(self._home, say_nothing)


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

    def lived(self, policy: str | None) -> Lived:
        """The last `flyball replay`, or that of a policy of a comparison. Raises NotFound."""
        return Lived(lived_home(self._home, policy))


def lived_home(home: Home, policy: str | None) -> Home:
    """Where a replay was lived, and under which flyball.yaml. Raises NotFound, OperatorError."""
    if policy is None:
        there = home.state_dir / "replay"
        if not there.is_dir():
            raise NotFound("nothing was replayed here yet", next_step="flyball replay")
        return home._replace(state_dir=there)
    from flyball.wiring.replay_policies import lived_policies, lived_policy

    there_are = lived_policies(home)
    if policy not in there_are:
        known = ", ".join(there_are) or "none yet"
        raise NotFound(f"no replay of a policy {policy[:80]!r} lies here", expected=known, next_step="flyball replay --policy …")
    return lived_policy(home, policy)


def live_child(directory: Path) -> int:
    """One of them, in this process, for the one that compares; its exit code."""
    from flyball.wiring.replay_policies import live_child as live

    quiet_libraries()
    return live(directory)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
