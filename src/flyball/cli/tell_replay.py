"""What `replay` prints at its end: by month the first model left alone beside the governed one, what was decided, and what must be nought."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group

from flyball.cli import draw
from flyball.control.replay_report import Performance, ReplayReport

if TYPE_CHECKING:
    from rich.console import RenderableType

_FIGURES = {"regression": ("mae",)}
_CLASSIFICATION = ("roc_auc", "log_loss")


def replay_report(report: ReplayReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    parts: list[RenderableType] = [_months(report, plain=plain)]
    if report.releases:
        rows = [
            (r.id, f"v{r.version}", r.opened_at[:16], (r.promoted_at or "")[:16], r.outcome, r.words) for r in report.releases
        ]
        columns = ("release", "version", "opened", "all traffic", "outcome", "why")
        parts.append(draw.table(columns, rows, plain=plain, title="Releases"))
    if report.decision_log:
        decided = [((row.id, "bold"), row.at[:16], row.action, row.words) for row in report.decision_log]
        parts.append(draw.table(("decision", "at", "action", "why"), decided, plain=plain, title="What was decided"))
    parts.append(draw.facts(_facts(report)))
    parts.append(draw.text("Next: open report.html (the same as a picture); report.json holds the figures."))
    return Group(*parts)


def _months(report: ReplayReport, *, plain: bool) -> "RenderableType":
    names = _FIGURES.get(report.task, _CLASSIFICATION)
    pairs = [f"{name} {side}" for name in names for side in ("alone", "governed")]
    rows: list[tuple[draw.Cell, ...]] = [
        (month.start, f"{month.n:,}", *_pairs(names, month.alone, month.governed), ", ".join(month.answered_by))
        for month in report.months
    ]
    means = [draw.number(getattr(side, f"mean_monthly_{name}")) for name in names for side in (report.alone, report.governed)]
    rows.append((("mean", "bold"), "", *((mean, "bold") for mean in means), ""))
    columns = ("month", "outcomes", *pairs, "answered by")
    return draw.table(columns, rows, plain=plain, title="Left alone, and governed", right=("outcomes", *pairs))


def _pairs(names: Iterable[str], alone: Performance, governed: Performance) -> list[str]:
    return [draw.number(getattr(side, name)) for name in names for side in (alone, governed)]


def _facts(report: ReplayReport) -> list[tuple[str, draw.Cell]]:
    failed: draw.Cell = ("0", "green") if report.failed_requests == 0 else (str(report.failed_requests), "bold red")
    equal = report.decisions_replayed_equal == report.decisions
    return [
        ("requests", f"{report.requests:,} with {report.predictions:,} predictions"),
        ("failed requests", failed),
        ("labels", f"{report.labels_joined:,} predictions have theirs ({report.labels_sent:,} sent, those sent twice included)"),
        ("retrainings", str(report.governed.retrainings)),
        (
            "decisions",
            (
                f"{report.decisions_replayed_equal} of {report.decisions} made again with the same bytes",
                "green" if equal else "bold red",
            ),
        ),
        ("took", f"{report.wall_seconds:.0f} s"),
    ]
