"""Commands that only look: status, versions, decisions, explain."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json, Project
from flyball.cli.session import session_of


def status(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Show what answers now, how well, and what is under way."""
    from flyball.cli import tell_status

    session = session_of(context)
    session.screen.answer(session.opener(project).status(), tell_status.status_report)


def versions(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """List the registered models with their metrics and where they came from."""
    from flyball.cli import tell_status

    session = session_of(context)
    session.screen.answer(session.opener(project).versions(), tell_status.version_rows)


def decisions(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that wait for a person.")] = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List what was decided, by which rule, newest last."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    session.screen.answer(session.opener(project).decisions(only_open), tell_decisions.decision_rows)


def explain(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="Its id, such as d-000012.")],
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Explain a decision: evidence, rule, reasons, its replay, and what happened afterwards."""
    from flyball.cli import tell_decisions

    session = session_of(context)
    session.screen.answer(session.opener(project).explain(decision), tell_decisions.explanation)
