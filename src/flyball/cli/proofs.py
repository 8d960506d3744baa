"""Commands that prove: verify, doctor."""

from pathlib import Path

import typer

from flyball.cli.doors import ANSWER_IS_NO, Json, Project
from flyball.cli.session import session_of


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
