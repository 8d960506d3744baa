"""What the API and the pages ask of a project: `wiring.workspace.Workspace` answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow
from flyball.control.job_story import JobStory
from flyball.control.ports import Clock
from flyball.control.reports import CommandReport, ReleaseReport, ReleaseRow, StatusReport, VersionRow
from flyball.records.permissions import Holder


class Findings(Protocol):
    def rows(self, open_only: bool) -> tuple[FindingRow, ...]:  # noqa: FBT001 - the command's own flag
        ...

    def incidents(self, open_only: bool) -> tuple[IncidentRow, ...]:  # noqa: FBT001 - the command's own flag
        ...

    def explain(self, which: str) -> FindingReport: ...

    def acknowledge(self, which: str, actor: str, reason: str, as_normal: bool) -> CommandReport: ...  # noqa: FBT001


class Releases(Protocol):
    def rows(self) -> tuple[ReleaseRow, ...]: ...

    def report(self, which: str | None) -> ReleaseReport: ...

    def hold(self, actor: str, reason: str) -> CommandReport: ...

    def resume(self, actor: str, reason: str) -> CommandReport: ...

    def drill(self, actor: str) -> CommandReport: ...


class Autopilot(Protocol):
    def close_breaker(self, actor: str, reason: str) -> CommandReport: ...

    def raise_autonomy(self, action: str, actor: str, reason: str) -> CommandReport: ...

    def explain_job(self, job: str) -> JobStory: ...

    def stop_serving(self, actor: str, reason: str) -> CommandReport: ...

    def resume_serving(self, actor: str, reason: str) -> CommandReport: ...


class Sessions(Protocol):
    """Those that a person has ended. Safe to call from several threads."""

    def end(self, session: str, until: datetime, now: datetime) -> None:
        """Once or more often; `until`: when it ends by itself."""
        ...

    def has(self, session: str) -> bool: ...


class Rooms(Protocol):
    """Parts of a project, each with use cases of its own."""

    @property
    def clock(self) -> Clock:
        """Of this machine."""
        ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def findings(self) -> Findings: ...

    @property
    def autopilot(self) -> Autopilot: ...

    @property
    def releases(self) -> Releases: ...


class Desk(Rooms, Protocol):
    """Safe to call from several threads."""

    def status(self) -> StatusReport: ...

    def versions(self) -> tuple[VersionRow, ...]: ...

    def decisions(self, open_only: bool, newest: int | None = None) -> tuple[DecisionRow, ...]:  # noqa: FBT001 - the command's own flag
        """Oldest first. `newest`: of all that were made no more than so many of the last."""
        ...

    def explain(self, decision_id: str) -> Explanation: ...

    def rollback(self, reason: str, actor: str) -> CommandReport: ...

    def approve(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport: ...

    def refuse(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport: ...

    def tokens(self) -> Mapping[str, Holder]:
        """Token → whose it is, read anew at every request: a replaced token is refused at once."""
        ...
