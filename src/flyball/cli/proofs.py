"""Commands that prove: replay, verify, doctor."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project
from flyball.cli.session import session_of

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

Since = Annotated[datetime | None, typer.Option("--since", formats=_FORMATS, help="First day of the replay (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", formats=_FORMATS, help="End of the replay (UTC), not included.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Where reports go; the project's directory if not given.")
]


def replay(
    context: typer.Context, since: Since = None, until: Until = None, output: Output = None,
    project: Project = Path(), _json: Json = False,
) -> None:  # fmt: skip
    """Live through historical data on a simulated clock: the whole loop, beside the first model left alone."""
    from flyball.cli import tell_replay

    session = session_of(context)
    workspace = session.opener(project)
    with session.screen.working("Replaying") as say:
        report = workspace.replay(_utc(since), _utc(until), say, output=output)
    session.screen.answer(report, tell_replay.replay_report)


def verify(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Check the ledger, every artifact's bytes and every decision's replay."""
    from flyball.cli import tell_proofs

    session = session_of(context)
    report = session.opener(project).verify()
    session.screen.answer(report, tell_proofs.verify_report)
    if not report.ok:
        raise typer.Exit(ANSWER_IS_NO)


def doctor(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Look for what would keep this project from working, and say what to do."""
    from flyball.cli import tell_proofs

    session = session_of(context)
    checks = session.opener(project).doctor()
    session.screen.answer(checks, tell_proofs.checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(ANSWER_IS_NO)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
