"""Commands around releases: `release status`, `release list`, `drill`."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, Reason, Replayed, actor, text
from flyball.cli.session import Session, session_of

release = typer.Typer(
    no_args_is_help=True, help="How a challenger becomes champion: where it is, what it waits for, what was before."
)


def release_status(
    context: typer.Context,
    which: Annotated[
        str | None, typer.Argument(metavar="RELEASE", help="Such as r-0007; the open one or the last if not given.", parser=text)
    ] = None,
    replayed: Replayed = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Show a release: its phase, what each guard has seen, its margin and error rate, and what is waited for."""
    from flyball.cli import tell_releases

    session = session_of(context)
    session.screen.answer(session.opener(project).releases.report(which, replayed=replayed), tell_releases.release_report)


def release_list(
    context: typer.Context, replayed: Replayed = False, project: Project = Path(), _json: Json = False
) -> None:  # fmt: skip
    """List releases and how they ended, newest last."""
    from flyball.cli import tell_releases

    session = session_of(context)
    session.screen.answer(session.opener(project).releases.rows(replayed=replayed), tell_releases.release_rows)


def hold(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Stop the open release where it is: the champion answers alone until somebody lets it start again or rolls it back."""
    _moved(session_of(context), project, reason, "hold")


def resume(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Let a held release start again: what was seen so far still counts, its phases begin anew."""
    _moved(session_of(context), project, reason, "resume")


def _moved(session: Session, project: Path, reason: str, order: str) -> None:
    from flyball.cli import tell_decisions

    releases = session.opener(project).releases
    report = (releases.hold if order == "hold" else releases.resume)(actor(), reason)
    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)


def drill(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Rehearse a rollback: every gateway loads the unit that it would go to, while the champion goes on answering. Says how long it takes."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).releases.drill(actor())
    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)
