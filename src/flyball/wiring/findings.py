"""The findings of a project as every door sees them."""

from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow
from flyball.control.reports import CommandReport
from flyball.control.world import World
from flyball.wiring.worlds import Home, say_nothing, world_of


class Findings:
    """What they need is imported when they are asked for: the other commands start without it."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def rows(self, open_only: bool) -> tuple[FindingRow, ...]:  # noqa: FBT001 - a command's own flag
        from flyball.control import findings

        return findings.rows(self._world(), open_only=open_only)

    def incidents(self, open_only: bool) -> tuple[IncidentRow, ...]:  # noqa: FBT001 - a command's own flag
        from flyball.control import findings

        return findings.incident_rows(self._world(), open_only=open_only)

    def explain(self, which: str) -> FindingReport:
        from flyball.control import findings

        return findings.explain(self._world(), which)

    def acknowledge(self, which: str, actor: str, reason: str, as_normal: bool) -> CommandReport:  # noqa: FBT001 - a command's own flag
        from flyball.control import findings

        return findings.acknowledge(self._world(), which, actor, reason, as_normal=as_normal)

    def _world(self) -> World:
        return world_of(self._home, say_nothing)
