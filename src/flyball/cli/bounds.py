"""Commands by which a person bounds the autopilot: `breaker close`."""

from pathlib import Path

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, Reason, actor
from flyball.cli.session import session_of

breaker = typer.Typer(
    no_args_is_help=True,
    help="What stops the autopilot when its acts fail or the champion goes to and fro, until a person has looked.",
)


def close(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Let policies retrain and roll back again; what was counted begins anew."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).autopilot.close_breaker(actor(), reason)
    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)
