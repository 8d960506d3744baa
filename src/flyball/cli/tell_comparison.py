"""What `replay --policy` prints at its end: what each policy came to, and the months."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.replay_comparison import ComparisonReport, PolicyLine, PolicyMonth, of_prices
from flyball.control.replay_metrics import POOLED

if TYPE_CHECKING:
    from rich.console import RenderableType

LEGEND = "+ a retraining, * the best of its month, in brackets: not ranked, for not all rows were answered"
"""Below the tables: titles are for terminals alone."""


def comparison_report(report: ComparisonReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    return draw.page([_months(report, plain=plain), _sums(report, plain=plain), draw.text(LEGEND), _figures(report)])


def _months(report: ComparisonReport, *, plain: bool) -> "RenderableType":
    names = [line.name for line in report.policies]
    months = zip(*(line.months for line in report.policies), strict=True)
    rows: list[list[draw.Cell]] = [[cells[0].start, *map(_cell, cells)] for cells in months]
    rows.append(["mean", *(_of_ranked(line, line.value) for line in report.policies)])
    if report.pooled:
        rows.append(["by unit", *(_of_ranked(line, line.value_by_unit) for line in report.policies)])
    if report.rethresholded and report.metric != "accuracy":
        rows.append(["accuracy", *(_of_ranked(line, line.accuracy) for line in report.policies)])
    title = f"{report.metric} by month"
    return draw.table(("month", *names), rows, plain=plain, title=title, right=names)


def _cell(month: PolicyMonth) -> draw.Cell:
    marks, value = "+" * month.retrainings + "*" * month.best, draw.number(month.value)
    return (f"{marks} {value if month.ranked else f'({value})'}".strip(), "bold" if month.best else "")


def _sums(report: ComparisonReport, *, plain: bool) -> "RenderableType":
    heads = [
        "rows answered", "failed requests", "errors", "retrainings", "training minutes", *(["cost"] if report.priced else []), "regret", "in errors",
        "alarms", "promoted", "taken back",
    ]  # fmt: skip
    rows: list[list[draw.Cell]] = [
        [(line.name, "bold green" if line.name == report.best else "bold"), line.words, *_sum(report, line)]
        for line in report.policies
    ]
    return draw.table(("policy", "", *heads), rows, plain=plain, title="What each came to", right=heads)


def _sum(report: ComparisonReport, line: PolicyLine) -> list[str]:
    cost = [_of_ranked(line, line.cost)] if report.priced else []
    of = f" of {line.regret_months} of {len(line.months)} months" if line.regret_months not in (None, len(line.months)) else ""
    return [
        f"{line.answered:,}", str(line.failed_requests), _of_ranked(line, line.errors), str(line.retrainings),
        f"{line.training_minutes:.1f}", *cost, _of_ranked(line, line.regret) + of, _of_ranked(line, line.regret_errors),
        str(line.alarms), str(line.promotions), str(line.rollbacks),
    ]  # fmt: skip


def _of_ranked(line: PolicyLine, value: float | None) -> str:
    """In brackets where it is not held against those of others: what was refused costs nothing here."""
    return draw.number(value) if line.ranked or value is None else f"({draw.number(value)})"


def _figures(report: ComparisonReport) -> "RenderableType":
    made = sum(line.decisions for line in report.policies)
    equal = sum(line.decisions_replayed_equal for line in report.policies)
    failed = ", ".join(_failed(line) for line in report.policies if line.failed_requests)
    best = (
        f"{report.best} ({'the least cost' if report.priced else 'the fewest errors'})"
        if report.best
        else "not known: no outcomes"
    )
    most = max(line.answered for line in report.policies)
    unranked = ", ".join(
        f"{line.name}, which answered {line.answered:,} of the {most:,} rows that another did" for line in report.policies if not line.ranked
    )  # fmt: skip
    return draw.facts((
        *(((report.metric, f"and regret: {POOLED}"),) if report.pooled else ()),
        ("best", best),
        *((("", report.margin.words),) if report.margin is not None else ()),
        *((("not ranked", unranked),) if unranked else ()),
        *((("prices", (told, "yellow")),) if (told := of_prices(report)) else ()),
        *(("failed", (f"{each.name}: {each.words} (the same command goes on)", "bold red")) for each in report.failed),
        *(("waited", (f"{line.name}: {_waited(line)}", "yellow")) for line in report.policies if line.unanswered),
        *(("breaker", (f"{line.name} did nothing more {line.breaker}", "yellow")) for line in report.policies if line.breaker),
        ("failed requests", (failed, "bold red") if failed else ("0", "green")),
        ("decisions", f"{equal} of {made} replayed to the same bytes"),
        ("took", f"{report.wall_seconds:.0f} s"),
    ))  # fmt: skip


def _waited(line: PolicyLine) -> str:
    """The first question kept its policy from acting for longest."""
    more = len(line.unanswered) - 1
    return f"{line.unanswered[0]}{f' (and {more} more)' if more else ''}, and nobody answered"


def _failed(line: PolicyLine) -> str:
    told = f"{line.failed_requests:,} of {line.name}"
    return (
        f"{told}, which had the model stopped on {line.stopped_at[:10]}: it refused what it was asked since"
        if line.stopped_at
        else told
    )
