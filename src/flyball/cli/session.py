"""What every command shares: how a project is opened, and where its answer goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import typer

from flyball.cli.screen import Screen

if TYPE_CHECKING:
    from flyball.control import decision_reports, finding_reports, job_story, reports
    from flyball.control.label_import import LabelImport
    from flyball.control.ports import Say
    from flyball.control.replay_comparison import ComparisonReport
    from flyball.control.replay_orders import Wanted
    from flyball.control.replay_report import ReplayReport


class Loop(Protocol):
    """What starts or ends the loop."""

    def run(self, say: "Say", actor: str) -> "reports.RunReport": ...

    def up(self, detach: bool, say: "Say", ready: "Callable[[reports.UpReport], None]") -> None:  # noqa: FBT001 - a command's own flag
        """`ready` is told when it serves; not detached, it goes on until it is told to end."""
        ...

    def down(self) -> bool: ...


class Reading(Protocol):
    """What only looks."""

    def status(self) -> "reports.StatusReport": ...

    def versions(self) -> "tuple[reports.VersionRow, ...]": ...

    def decisions(self, open_only: bool) -> "tuple[decision_reports.DecisionRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def explain(self, decision_id: str) -> "decision_reports.Explanation": ...

    def verify(self) -> "reports.VerifyReport": ...

    def doctor(self) -> "tuple[reports.Check, ...]": ...


class Orders(Protocol):
    """What a person orders."""

    def rollback(self, reason: str, actor: str) -> "reports.CommandReport": ...

    def approve(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> "reports.CommandReport": ...

    def refuse(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> "reports.CommandReport": ...


class Captured(Protocol):
    """What was captured, and labels for it."""

    def export(
        self, kind: Literal["delta", "parquet"], to: Path | None, since: datetime | None, until: datetime | None, say: "Say"
    ) -> "reports.ExportReport": ...

    def import_labels(self, wanted: "LabelImport", say: "Say") -> "reports.ImportReport": ...


class Findings(Protocol):
    """What monitors found."""

    def rows(self, open_only: bool) -> "tuple[finding_reports.FindingRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def incidents(self, open_only: bool) -> "tuple[finding_reports.IncidentRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def explain(self, which: str) -> "finding_reports.FindingReport": ...

    def acknowledge(self, which: str, actor: str, reason: str, as_normal: bool) -> "reports.CommandReport": ...  # noqa: FBT001


class Releases(Protocol):
    """How challengers became champions, or did not."""

    def rows(self, *, replayed: bool = False) -> "tuple[reports.ReleaseRow, ...]": ...

    def report(self, which: str | None, *, replayed: bool = False) -> "reports.ReleaseReport": ...

    def hold(self, actor: str, reason: str) -> "reports.CommandReport": ...

    def resume(self, actor: str, reason: str) -> "reports.CommandReport": ...

    def drill(self, actor: str) -> "reports.CommandReport": ...


class LivedReplay(Protocol):
    """What a replay decided, found and tried."""

    def decisions(self, open_only: bool) -> "tuple[decision_reports.DecisionRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def findings(self, open_only: bool) -> "tuple[finding_reports.FindingRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def incidents(self, open_only: bool) -> "tuple[finding_reports.IncidentRow, ...]":  # noqa: FBT001 - a command's own flag
        ...

    def explain(self, decision_id: str) -> "decision_reports.Explanation": ...

    def explain_finding(self, which: str) -> "finding_reports.FindingReport": ...

    def explain_job(self, job: str) -> "job_story.JobStory": ...


class Replays(Protocol):
    """The loop over history."""

    def lived(self, policy: str | None) -> LivedReplay:
        """None: the last one without `--policy`."""
        ...

    def live(self, wanted: "Wanted", say: "Say") -> "ReplayReport": ...

    def compare(self, wanted: "Wanted", names: tuple[str, ...], jobs: int | None, say: "Say") -> "ComparisonReport": ...


class People(Protocol):
    """Who has a token by name."""

    def rows(self) -> "tuple[reports.TokenReport, ...]": ...

    def add(self, name: str, role: str, actor: str) -> "reports.TokenReport": ...

    def remove(self, name: str, actor: str) -> "tuple[reports.TokenReport, ...]": ...


class Autopilot(Protocol):
    """Its bounds."""

    def close_breaker(self, actor: str, reason: str) -> "reports.CommandReport": ...

    def raise_autonomy(self, action: str, actor: str, reason: str) -> "reports.CommandReport": ...

    def explain_job(self, job: str) -> "job_story.JobStory": ...

    def stop_serving(self, actor: str, reason: str) -> "reports.CommandReport": ...

    def resume_serving(self, actor: str, reason: str) -> "reports.CommandReport": ...


class Workspace(Loop, Reading, Orders, Protocol):
    """A project with its state, as the terminal sees it; `wiring.workspace.open_workspace` makes it."""

    @property
    def findings(self) -> Findings: ...

    @property
    def releases(self) -> Releases: ...

    @property
    def replays(self) -> Replays: ...

    @property
    def autopilot(self) -> Autopilot: ...

    @property
    def captured(self) -> Captured: ...

    @property
    def people(self) -> People: ...


def open_project(directory: Path) -> Workspace:
    """The real one."""
    from flyball.wiring.privacy import private_process
    from flyball.wiring.workspace import open_workspace as opened

    private_process()
    return opened(directory)


def work_on(job_dir: Path) -> int:
    """A job's steps in this process; its exit code."""
    from flyball.wiring.privacy import private_process
    from flyball.wiring.steps import work_on as worked

    private_process()
    return worked(job_dir)


@dataclass
class Session:
    """One call of the command."""

    opener: Callable[[Path], Workspace] = open_project
    worker: Callable[[Path], int] = work_on
    """Does the steps of a job, whatever stands in flyball.yaml by now."""
    screen: Screen = field(default_factory=Screen)


def session_of(context: typer.Context) -> Session:
    """The session of this call, made when nobody gave one."""
    root = context.find_root()
    if not isinstance(root.obj, Session):
        root.obj = Session()
    return root.obj
