"""Commands around releases: `release status`, `release list`, `drill`."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, actor
from flyball.cli.session import session_of

release = typer.Typer(
    no_args_is_help=True, help="How a challenger becomes champion: where it is, what it waits for, what was before."
)


def release_status(
    context: typer.Context,
    which: Annotated[
        str | None, typer.Argument(metavar="RELEASE", help="Such as r-0007; the open one or the last if not given.")
    ] = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Show a release: its phase, what each guard has seen, its margin and error rate, and what is waited for."""
    from flyball.cli import tell_releases

    session = session_of(context)
    session.screen.answer(session.opener(project).releases.report(which), tell_releases.release_report)


def release_list(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """List releases and how they ended, newest last."""
    from flyball.cli import tell_releases

    session = session_of(context)
    session.screen.answer(session.opener(project).releases.rows(), tell_releases.release_rows)


def drill(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Rehearse a rollback: every gateway loads the unit that it would go to, while the champion goes on answering. Says how long it takes."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    report = session.opener(project).releases.drill(actor())
    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)
