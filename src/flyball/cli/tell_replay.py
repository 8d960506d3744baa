"""What `replay` prints at its end: the months, what was decided and when, and where to look next."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group

from flyball.cli import draw
from flyball.control.replay_metrics import BY_UNIT, POOLED, columns
from flyball.control.replay_report import DecisionLine, Performance, ReplayReport, Span

if TYPE_CHECKING:
    from rich.console import RenderableType

UNITS_SHOWN = 4
"""Of a month: with a map every other day it has fifteen."""


def replay_report(report: ReplayReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    return Group(_months(report, plain=plain), _releases(report, plain=plain), _decisions(report, plain=plain), _figures(report))


def _months(report: ReplayReport, *, plain: bool) -> "RenderableType":
    names = columns(report)
    heads = [f"{'by unit' if name == BY_UNIT else name} {side}" for name in names for side in ("alone", "governed")]
    rows = [
        (month.start, f"{month.n:,}", *_pairs(names, month.alone, month.governed), _champions(month)) for month in report.months
    ]
    means = [draw.number(getattr(side, f"mean_monthly_{name}")) for name in names for side in (report.alone, report.governed)]
    rows.append(("mean", "", *means, ""))
    told = draw.table(
        ("month", "labels", *heads, "answered by"), rows, plain=plain, title="Left alone, and governed", right=("labels", *heads)
    )
    return draw.page([told, draw.text(f"{report.metric}: {POOLED}")]) if BY_UNIT in names else told


def _pairs(names: tuple[str, ...], alone: Performance, governed: Performance) -> list[str]:
    return [draw.number(getattr(side, name)) for name in names for side in (alone, governed)]


def _champions(month: Span) -> str:
    """Units by their share of the answers: `v2 81 %, v3 19 %`; of many those that answered most."""
    total = sum(month.answered_by.values())
    most = sorted(month.answered_by.items(), key=lambda item: -item[1])[:UNITS_SHOWN]
    shares = sorted(most, key=lambda item: (len(item[0]), item[0]))
    more = len(month.answered_by) - len(most)
    return ", ".join([*(f"{name} {n / total:.0%}" for name, n in shares), *([f"{more} more"] if more else [])])


def _releases(report: ReplayReport, *, plain: bool) -> "RenderableType":
    rows = [
        ((release.id, "bold"), release.unit or f"v{release.version}", draw.when(_moment(release.opened_at)), _promoted(release.promoted_at),
         release.outcome, release.words)
        for release in report.releases
    ]  # fmt: skip
    return draw.table(("release", "version", "opened", "champion from", "now", "why"), rows, plain=plain, title="Releases")


def _promoted(at: str | None) -> str:
    return draw.when(_moment(at)) if at else "never"


def _decisions(report: ReplayReport, *, plain: bool) -> "RenderableType":
    """The autopilot's acts and the gates' verdicts; a release's own steps stand in the table above, and all of it in the report."""
    rows = [
        ((line.id, "bold"), draw.when(_moment(line.at)), _done(line), _why(line))
        for line in report.decision_log
        if line.room == "gates" or (line.room == "autopilot" and _done(line))
    ]
    return draw.table(("decision", "at", "what", "why"), rows, plain=plain, title="What was decided, and why")


def _done(line: DecisionLine) -> str:
    """Without what was weighed and not done."""
    acts = [act for act in line.action.split(", ") if not act.startswith("nothing")]
    return ", ".join(act.split(" ")[0] for act in acts)


def _why(line: DecisionLine) -> str:
    """Of several policies' sentences those that led to an act."""
    sentences = [sentence for sentence in line.words.splitlines() if "Nothing is done:" not in sentence]
    return " ".join(sentences)


def _figures(report: ReplayReport) -> "RenderableType":
    failed: draw.Cell = ("0", "green") if report.failed_requests == 0 else (str(report.failed_requests), "bold red")
    kinds = Counter(line.kind for line in report.findings)
    findings = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "none"
    return draw.facts((
        ("requests", f"{report.requests:,} with {report.predictions:,} rows"),
        ("failed requests", failed),
        *(() if not report.rows_refused else (("rows refused", (f"{report.rows_refused:,}: the model does not take them", "bold red")),)),
        ("labels", f"{report.labels_joined:,} joined, {report.labels_sent:,} sent (some twice, some late)"),
        *(() if not report.labels_refused else (("labels refused", (f"{report.labels_refused:,}: they can be no label of the model", "bold red")),)),
        ("retrainings", f"{report.governed.retrainings}; {report.governed.promotions} promoted, {report.governed.rollbacks} given up or rolled back"),
        ("findings", findings),
        ("decisions", f"{report.decisions_replayed_equal} of {report.decisions} replayed to the same bytes"),
        *_in_the_way(report),
        ("took", f"{report.wall_seconds:.0f} s"),
    ))  # fmt: skip


def _in_the_way(report: ReplayReport) -> tuple[tuple[str, draw.Cell], ...]:
    """What kept policies from acting, and what the loop survived."""
    breaker = (("breaker", (f"open: {report.breaker}", "bold red")),) if report.breaker else ()
    asked = "; ".join(report.questions)
    questions = (("not answered", (asked, "bold red")),) if asked else ()
    trouble = (("trouble", ("; ".join(report.failed_ticks), "bold red")),) if report.failed_ticks else ()
    return (*breaker, *questions, *trouble)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
