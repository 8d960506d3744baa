"""Commands by which a person decides: rollback, approve, refuse, acknowledge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project, Reason, actor, text
from flyball.cli.session import Session, session_of

if TYPE_CHECKING:
    from flyball.control.reports import CommandReport

Digest = Annotated[
    str | None,
    typer.Option(
        "--digest", metavar="HEX", help="Of the action that you have seen, or its beginning: no other is answered.", parser=text
    ),
]
Decision = Annotated[str, typer.Argument(metavar="DECISION", help="Its id, such as d-000012.", parser=text)]


def rollback(context: typer.Context, reason: Reason = "", project: Project = Path(), _json: Json = False) -> None:
    """Go back to the last verified champion, from whatever phase the release is in."""
    session = session_of(context)
    report = session.opener(project).rollback(reason, actor())
    _answer(session, report)


def approve(
    context: typer.Context, decision: Decision, reason: Reason = "", digest: Digest = None, project: Project = Path(), _json: Json = False
) -> None:  # fmt: skip
    """Agree to what a decision wants to do; usable once."""
    session = session_of(context)
    report = session.opener(project).approve(decision, actor(), reason, digest)
    _answer(session, report)


def refuse(
    context: typer.Context, decision: Decision, reason: Reason = "", digest: Digest = None, project: Project = Path(), _json: Json = False
) -> None:  # fmt: skip
    """Say no to what a decision wants to do."""
    session = session_of(context)
    report = session.opener(project).refuse(decision, actor(), reason, digest)
    _answer(session, report)


def acknowledge(
    context: typer.Context,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its number, such as 3.", parser=text)],
    as_normal: Annotated[bool, typer.Option("--as-normal", help="What was found is the new normal.")] = False,
    reason: Reason = "",
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Say that a finding was seen: it stands no longer, policies are told of it no more, and its detector begins anew."""
    session = session_of(context)
    report = session.opener(project).findings.acknowledge(finding, actor(), reason, as_normal)
    _answer(session, report)


def _answer(session: Session, report: "CommandReport") -> None:
    """An order that could not be carried out is an answer, too: with the exit code of a no."""
    from flyball.cli import tell_decisions

    session.screen.answer(report, tell_decisions.command_report)
    if not report.accepted:
        raise typer.Exit(ANSWER_IS_NO)
