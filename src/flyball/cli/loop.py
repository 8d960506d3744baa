"""Commands that start and end things: run, up, down, and the one that Flyball calls itself."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, actor
from flyball.cli.session import session_of

if TYPE_CHECKING:
    from flyball.control.reports import UpReport


def run(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Train a model from the present data, judge it at the gates, and register it if it passes."""
    from flyball.cli import tell_run
    from flyball.records.evidence import Outcome

    session = session_of(context)
    workspace = session.opener(project)
    with session.screen.working("Running the pipeline") as say:
        report = workspace.run(say, actor())
    session.screen.answer(report, tell_run.run_report)
    if report.outcome is not Outcome.PASS:
        raise typer.Exit(ANSWER_IS_NO)


def up(
    context: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background.")] = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Serve the champion: start the gateway and the control process of this project."""
    from flyball.cli import tell_run

    session = session_of(context)
    workspace = session.opener(project)
    troubles: list[str] = []

    def ready(report: "UpReport") -> None:
        troubles.append(report.trouble)
        session.screen.answer(report, tell_run.up_report)

    # No spinner: in the foreground this goes on until it is told to end.
    workspace.up(detach, session.screen.say, ready)
    if any(troubles):
        raise typer.Exit(ANSWER_IS_NO)


def down(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Stop the processes that `flyball up` started for this project."""
    from flyball.errors import NotFound, OperatorError, SpecError

    session = session_of(context)
    try:
        stop = session.opener(project).down
    except (NotFound, SpecError, OperatorError):
        from flyball.wiring.workspace import STATE, stop_all

        state_dir = project.resolve() / STATE
        if not state_dir.is_dir():
            raise
        stop = partial(
            stop_all, state_dir
        )  # neither a fault in flyball.yaml nor a disk that does not give it keeps anything running
    stopped = stop()
    if session.screen.as_json:
        session.screen.document({"stopped": stopped})
    else:
        session.screen.say("good" if stopped else "plain", "Stopped." if stopped else "Nothing was running.")


def step_child(
    context: typer.Context,
    job_dir: Annotated[Path, typer.Argument(metavar="JOB_DIR", help="The job's directory.")],
) -> None:
    """The steps of one job (Flyball starts it itself)."""
    raise typer.Exit(session_of(context).worker(job_dir))
