"""Commands by which a person decides: rollback, approve, refuse."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json, Project, Reason, actor
from flyball.cli.session import session_of

Decision = Annotated[str, typer.Argument(metavar="DECISION", help="Its id, such as d-000012.")]


def rollback(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Go back to the last verified champion, from whatever phase the release is in."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).rollback(reason, actor())
    session.screen.answer(report, tell_decisions.command_report)


def approve(
    context: typer.Context, decision: Decision, reason: Reason = "", project: Project = Path(), _json: Json = False
) -> None:  # fmt: skip
    """Agree to what a decision wants to do; usable once."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).approve(decision, actor(), reason)
    session.screen.answer(report, tell_decisions.command_report)


def refuse(
    context: typer.Context, decision: Decision, reason: Reason = "", project: Project = Path(), _json: Json = False
) -> None:  # fmt: skip
    """Say no to what a decision wants to do."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).refuse(decision, actor(), reason)
    session.screen.answer(report, tell_decisions.command_report)
