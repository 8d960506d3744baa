"""Commands by which a person bounds the autopilot and the model: `breaker close`, `autonomy raise`, `serving stop`, `serving resume`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, Reason, actor, text
from flyball.cli.session import Session, session_of

if TYPE_CHECKING:
    from flyball.control.reports import CommandReport

breaker = typer.Typer(
    no_args_is_help=True,
    help="What stops the autopilot when its acts fail or the champion goes to and fro, until a person has looked.",
)

autonomy = typer.Typer(no_args_is_help=True, help="How far policies may go by themselves.")


serving = typer.Typer(no_args_is_help=True, help="Whether the model answers at all.")


def stop(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Let nobody answer, or the version that `serve.fallback` names, until you resume it."""
    session = session_of(context)
    _answer(session, session.opener(project).autopilot.stop_serving(actor(), reason))


def resume(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Let the champion of a stopped model answer again."""
    session = session_of(context)
    _answer(session, session.opener(project).autopilot.resume_serving(actor(), reason))


def close(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Let policies change who answers again; what was counted begins anew."""
    session = session_of(context)
    _answer(session, session.opener(project).autopilot.close_breaker(actor(), reason))


def raise_level(
    context: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Such as `retrain`: one of autopilot.autonomy.", parser=text)],
    reason: Reason = "",
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Give an action that has fallen one step of its autonomy back, up to what flyball.yaml says."""
    session = session_of(context)
    _answer(session, session.opener(project).autopilot.raise_autonomy(action, actor(), reason))


def _answer(session: Session, report: "CommandReport") -> None:
    from flyball.cli import tell_decisions

    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)
