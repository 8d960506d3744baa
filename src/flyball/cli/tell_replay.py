"""What `replay` prints at its end."""

from typing import TYPE_CHECKING

from rich.console import Group

from flyball.cli import draw
from flyball.control.reports import ReplayReport

if TYPE_CHECKING:
    from rich.console import RenderableType


def replay_report(report: ReplayReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    pairs = [f"{name} {side}" for name in report.metrics for side in ("alone", "governed")]
    rows = [
        (
            month.month,
            f"{month.requests:,}",
            f"{month.labels:,}",
            *_pairs(report.metrics, month.alone, month.governed),
            ", ".join(month.champions),
        )
        for month in report.months
    ]
    rows.append(
        ("mean", f"{report.requests:,}", f"{report.labels_joined:,}", *_pairs(report.metrics, report.alone, report.governed), "")
    )
    months = draw.table(
        ("month", "requests", "labels", *pairs, "answered by"), rows, plain=plain, title="Left alone, and governed", right=pairs
    )
    decided = [((row.id, "bold"), draw.when(row.at), ", ".join(row.actions), row.rationale) for row in report.decisions]
    parts: list[RenderableType] = [months]
    if decided:
        parts.append(draw.table(("decision", "at", "actions", "why"), decided, plain=plain, title="What was decided"))
    failed: draw.Cell = ("0", "green") if report.failed_requests == 0 else (str(report.failed_requests), "bold red")
    parts.append(draw.facts((
        ("failed requests", failed), ("predictions", f"{report.predictions:,}"), ("retrainings", str(report.retrainings)),
        ("labels", f"{report.labels_joined:,} joined of {report.labels_sent:,} sent"),
        ("decisions", f"{report.decisions_replayed_equal} of {len(report.decisions)} replayed to the same bytes"),
        ("took", f"{report.wall_seconds:.0f} s"),
    )))  # fmt: skip
    parts.append(draw.text(report.words))
    if report.files:
        parts.append(draw.text(f"Next: look at {', '.join(report.files)}"))
    return Group(*parts)


def _pairs(metrics: tuple[str, ...], alone: dict[str, float | None], governed: dict[str, float | None]) -> list[str]:
    return [draw.number(side.get(name)) for name in metrics for side in (alone, governed)]
