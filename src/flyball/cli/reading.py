"""Commands that only look: status, versions, decisions, findings, explain."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json, Project
from flyball.cli.session import session_of
from flyball.errors import NotFound


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


def findings(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that stand, the most harmful first.")] = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List what the monitors found, newest last."""
    from flyball.cli import tell_findings

    session = session_of(context)
    session.screen.answer(session.opener(project).findings.rows(only_open), tell_findings.finding_rows)


def incidents(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List incidents: findings that belong together, newest last."""
    from flyball.cli import tell_findings

    session = session_of(context)
    session.screen.answer(session.opener(project).findings.incidents(only_open), tell_findings.incident_rows)


def explain(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(metavar="DECISION | finding N | job J", help="d-000012, or: finding 3, or: job j-0003.")
    ],
    replayed: Annotated[bool, typer.Option("--replayed", help="Of the last `flyball replay` instead.")] = False,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="NAME", help="With --replayed: of that policy of `flyball replay --policy`.")
    ] = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Explain a decision (evidence, rule, replay, what came of it), a finding (how far, how sure, what it does to the model, why) or a job (who competed)."""
    from flyball.cli import tell_decisions, tell_findings, tell_jobs

    session, opened = session_of(context), session_of(context).opener(project)
    lived = opened.replays.lived(policy) if replayed or policy is not None else None
    if (len(what) == 1 and what[0].startswith("j-")) or (len(what) == 2 and what[0] == "job"):
        job = (lived or opened.autopilot).explain_job(what[-1])
        session.screen.answer(job, tell_jobs.job_story)
        return
    if len(what) == 1 and not (what[0].startswith(("f-", "#")) or what[0].isdecimal()):
        session.screen.answer((lived or opened).explain(what[0]), tell_decisions.explanation)
        return
    if len(what) > 2 or (len(what) == 2 and what[0] != "finding"):
        raise NotFound(
            f"nothing is called {' '.join(what)[:80]!r}", expected="a decision such as d-000012, or: finding 3, or: job j-0003"
        )
    found = opened.findings.explain(what[-1]) if lived is None else lived.explain_finding(what[-1])
    session.screen.answer(found, tell_findings.finding_report)
