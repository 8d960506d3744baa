"""The pages, rendered on the server: no script, everything escaped."""

import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import NamedTuple

import jinja2

from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.finding_reports import FindingReport
from flyball.control.reports import ReleaseReport, ReleaseRow, StatusReport, VersionRow
from flyball.control.unit_names import with_id
from flyball.control.window_words import ESTIMATED, figure, labelled, named
from flyball.records.decisions import VOID
from flyball.records.diagnosis import name_of
from flyball.records.evidence import Evidence
from flyball.records.findings import WindowSummary
from flyball.records.words import harmless
from flyball.stats.metrics import METRICS
from flyball.web import finding_page
from flyball.web.release_page import picture

SHOWN_DECISIONS, SHOWN_RELEASES = 20, 5
_LEADING = ("roc_auc", "log_loss", "mae", "rmse", "brier", "pr_auc", "accuracy", "f1", "mape")
_NAMED = re.compile(r"\b(?:d-\d{6,12}|r-\d{4,12})\b")
"""A decision or a release, wherever a sentence speaks of it."""
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def overview(
    status: StatusReport, versions: tuple[VersionRow, ...], decisions: tuple[DecisionRow, ...], releases: tuple[ReleaseRow, ...]
) -> str:
    """All that `flyball status` says, and the newest decisions and releases."""
    told = {name for window in status.windows for name in named(window)} - {"bounded_loss"}
    own = sorted(name for name in told if name not in METRICS)
    metrics = [*[name for name in _LEADING if name in told][:3], *own]
    latest = tuple(reversed(decisions))[:SHOWN_DECISIONS]
    newest = tuple(reversed(releases))[:SHOWN_RELEASES]
    return _template("overview.html").render(status=status, versions=versions, decisions=latest, releases=newest, metrics=metrics)


def finding(report: FindingReport) -> str:
    """One finding: how far, how sure, what it means, why; the reference beside the window; window by window."""
    causes = finding_page.bars(report.finding.causes)
    return _template("finding.html").render(
        report=report, finding=report.finding, bars=_bars(report), line=finding_page.line(report), causes=causes
    )


def release(report: ReleaseReport) -> str:
    """One release: where it is, what each guard has seen look by look, how it moved."""
    guards = [(guard, picture(guard)) for guard in report.guards]
    return _template("release.html").render(report=report, release=report.release, guards=guards)


def releases(rows: tuple[ReleaseRow, ...]) -> str:
    """All there were, newest first."""
    return _template("releases.html").render(rows=tuple(reversed(rows)))


def decision(report: Explanation) -> str:
    """One decision: from what, by which rule, and what became of it."""
    return _template("decision.html").render(report=report, void=VOID)


class Bar(NamedTuple):
    """Two bars of a histogram, in the picture's units."""

    label: str
    y: int
    reference: float
    window: float
    reference_words: str
    window_words: str


BAR_WIDTH, ROW_HEIGHT = 440.0, 34


def _bars(report: FindingReport) -> list[Bar]:
    shown = report.finding.histogram
    if shown is None:
        return []
    most = max((*shown.reference, *shown.window), default=0.0) or 1.0
    return [
        Bar(label, place * ROW_HEIGHT, BAR_WIDTH * then / most, BAR_WIDTH * now / most, f"{then:.1%}", f"{now:.1%}")
        for place, (label, then, now) in enumerate(zip(shown.labels, shown.reference, shown.window, strict=True))
    ]


def fault(title: str, words: str) -> str:
    """What went wrong with a page that was asked for."""
    return _template("fault.html").render(title=title, words=words)


def login(words: str = "") -> str:
    return _template("login.html").render(words=words)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (resources.files("flyball.web") / "templates" / name).read_text(encoding="utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    environment.filters.update(
        when=_when,
        measured=_measured,
        figure=_figure,
        labelled=labelled,
        with_id=with_id,
        number=_number,
        brief=_brief,
        parts=_parts,
        kind=name_of,
        sentence=_sentence,
        share=finding_page.share_of,
    )
    return environment


def _shown(value: object) -> object:
    """Escaping is the environment's; a text that turns the direction of a line is no markup."""
    return harmless(value) if type(value) is str else value


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _brief(words: str) -> str:
    """A SHA-256 is known by its beginning."""
    return _DIGEST.sub(r"\1", words)


def _parts(words: str) -> list[tuple[str, str]]:
    """Each with the page that it names; empty: none."""
    found, end = [], 0
    for met in _NAMED.finditer(words):
        room = "decisions" if met[0].startswith("d") else "releases"
        found += [(words[end : met.start()], ""), (met[0], f"/{room}/{met[0]}")]
        end = met.end()
    return [*found, (words[end:], "")]


def _figure(window: WindowSummary, name: str) -> str:
    shown = figure(window, name)
    if shown is None:
        return "void" if window.void else ""
    told = _measured(shown.evidence)
    return f"≈ {told}" if shown.how == ESTIMATED else f"{told} {shown.how}".rstrip()


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _measured(evidence: Evidence) -> str:
    if evidence.value is None and evidence.note:
        return f"not measured ({evidence.note})"
    if evidence.lower is None or evidence.upper is None:
        return _number(evidence.value)
    return f"{_number(evidence.value)} [{_number(evidence.lower)}, {_number(evidence.upper)}]"
