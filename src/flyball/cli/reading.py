"""Commands that only look: status, versions, decisions, findings, explain."""

import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from flyball.cli.doors import Json, Project, Replayed, text
from flyball.cli.session import LivedReplay, Session, Workspace, session_of
from flyball.errors import NotFound

OfPolicy = Annotated[
    str | None,
    typer.Option("--policy", metavar="NAME", help="With --replayed: of that policy of `flyball replay --policy`.", parser=text),
]
_LISTS = re.compile(r"^flyball (decisions|findings)\b")
"""Next steps that a replay's own lists are for."""


_RELEASE = re.compile(r"^r-\d+$")
_FINDINGS = frozenset({"finding", "incident"})
"""An incident has the number of the first of its findings, whose story says what the incident is taken for."""


class Of(NamedTuple):
    """Whose lists and stories are asked for."""

    replayed: bool
    policy: str | None

    @property
    def replay(self) -> bool:
        return self.replayed or self.policy is not None

    @property
    def options(self) -> str:
        """What a next step has to say to be of the same."""
        if self.policy is not None:
            return f" --replayed --policy {shlex.quote(self.policy)}"
        return " --replayed" if self.replayed else ""


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
    replayed: Replayed = False,
    policy: OfPolicy = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List what was decided, by which rule, newest last."""
    from flyball.cli import tell_decisions

    of = Of(replayed, policy)
    session, opened, asked = _asked(context, project, of)
    session.screen.answer((asked or opened).decisions(only_open), partial(tell_decisions.decision_rows, of=of.options))


def findings(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that stand, the most urgent first.")] = False,
    replayed: Replayed = False,
    policy: OfPolicy = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List what the monitors found, newest last."""
    from flyball.cli import tell_findings

    of = Of(replayed, policy)
    session, opened, asked = _asked(context, project, of)
    rows = opened.findings.rows(only_open) if asked is None else asked.findings(only_open)
    session.screen.answer(rows, partial(tell_findings.finding_rows, of=of.options))


def incidents(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    replayed: Replayed = False,
    policy: OfPolicy = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """List incidents: findings that belong together, newest last."""
    from flyball.cli import tell_findings

    of = Of(replayed, policy)
    session, opened, asked = _asked(context, project, of)
    rows = opened.findings.incidents(only_open) if asked is None else asked.incidents(only_open)
    session.screen.answer(rows, partial(tell_findings.incident_rows, of=of.options))


def explain(
    context: typer.Context,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="DECISION | finding N | job J | RELEASE",
            help="d-000012, r-0002, or: finding 3 (an incident has its first finding's number), or: job j-0003.",
            parser=text,
        ),
    ],
    replayed: Replayed = False,
    policy: OfPolicy = None,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Explain a decision (evidence, rule, replay, what came of it), a finding (how far, how sure, what it does to the model, why) or a job (who competed)."""
    of = Of(replayed, policy)
    session, opened, lived = _asked(context, project, of)
    try:
        report, tell = _explained(what, opened, lived, of.options)
    except NotFound as error:
        raise NotFound(
            error.found, expected=error.expected, next_step=_LISTS.sub(rf"\g<0>{of.options}", error.next_step)
        ) from error
    session.screen.answer(report, tell)


def _explained(what: list[str], opened: Workspace, lived: LivedReplay | None, of: str) -> tuple[Any, Callable[[Any, bool], Any]]:
    """The report, and what tells it. Raises NotFound."""
    from flyball.cli import tell_decisions, tell_findings, tell_jobs

    if (len(what) == 1 and what[0].startswith("j-")) or (len(what) == 2 and what[0] == "job"):
        return (lived or opened.autopilot).explain_job(what[-1]), tell_jobs.job_story
    if len(what) == 1 and _RELEASE.match(what[0]):
        return _release(what[0], opened, replayed=lived is not None)
    if len(what) == 1 and not (what[0].startswith(("f-", "#")) or what[0].isdecimal()):
        return (lived or opened).explain(what[0]), partial(tell_decisions.explanation, of=of)
    if len(what) > 2 or (len(what) == 2 and what[0] not in _FINDINGS):
        raise NotFound(
            f"nothing is called {' '.join(what)[:80]!r}",
            expected="a decision such as d-000012, or: finding 3, or: job j-0003, or a release such as r-0002",
        )
    found = opened.findings.explain(what[-1]) if lived is None else lived.explain_finding(what[-1])
    return found, partial(tell_findings.finding_report, of=of)


def _release(which: str, opened: Workspace, *, replayed: bool) -> tuple[Any, Callable[[Any, bool], Any]]:
    from flyball.cli import tell_releases

    if replayed:  # of several policies each has one of that number
        raise NotFound(
            f"{which} is a release",
            expected="a decision, a finding or a job",
            next_step=f"flyball release status {which} --replayed",
        )
    return opened.releases.report(which, replayed=False), tell_releases.release_report


def _asked(context: typer.Context, project: Path, of: Of) -> tuple[Session, Workspace, LivedReplay | None]:
    """None: of the project itself."""
    session = session_of(context)
    opened = session.opener(project)
    return session, opened, opened.replays.lived(of.policy) if of.replay else None
