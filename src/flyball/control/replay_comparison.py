"""Several policies over one history, side by side: the contents of a comparison's report.json. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from flyball.control.replay_report import DecisionLine, ReplayReport, Span

HIGHER_IS_BETTER = frozenset({"roc_auc"})


class Prices(NamedTuple):
    """What the project says that things cost, in its own unit."""

    error: float
    training_minute: float


class PolicyMonth(msgspec.Struct, frozen=True, kw_only=True):
    start: str
    n: int
    """Rows with an outcome."""
    value: float | None
    """Of the report's metric; None: not defined there."""
    errors: float | None
    """Sum of bounded losses: 1 is an answer as wrong as can be."""
    retrainings: int
    best: bool
    """None of the compared ones was better in this month."""


class PolicyLine(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's year."""

    name: str
    words: str
    """`no policies`, `flyball.yaml as it is`, or the file."""
    value: float | None
    """Mean of the months' metric: every month counts alike."""
    errors: float | None
    retrainings: int
    training_minutes: float
    """Of its retrainings; the first version is the same for all and not counted."""
    cost: float | None
    """Errors and training minutes at the project's prices; None: `cost:` is not declared."""
    alarms: int
    promotions: int
    rollbacks: int
    regret: float | None
    """By how much it was worse than the best of each month, on average over the months: the best in hindsight changes policies every month."""
    regret_errors: float | None
    """Errors more than those of the best of each month, summed."""
    failed_requests: int
    decisions: int
    decisions_replayed_equal: int
    months: tuple[PolicyMonth, ...]


class ComparisonReport(msgspec.Struct, frozen=True, kw_only=True):
    project: str
    model: str
    task: str
    metric: str
    since: str
    until: str
    timezone: str
    priced: bool
    """`cost:` is declared, so `best` is the cheapest; else the one with the fewest errors."""
    best: str
    policies: tuple[PolicyLine, ...]
    """In the order asked for."""
    wall_seconds: float
    """Of this command."""


class Side(NamedTuple):
    """A policy and what its replay found."""

    name: str
    words: str
    report: ReplayReport


def compare(sides: Sequence[Side], prices: Prices | None, wall_seconds: float) -> ComparisonReport:
    """At least one side; all of one project and history."""
    first = sides[0].report
    months = [month.start for month in first.months]
    by_name = {side.name: {month.start: month for month in side.report.months} for side in sides}
    best = {start: _best_of([of[start] for of in by_name.values() if start in of], first.metric) for start in months}
    lines = tuple(_line(side, months, best, prices) for side in sides)
    return ComparisonReport(
        project=first.project, model=first.model, task=first.task, metric=first.metric, since=first.since, until=first.until,
        timezone=first.timezone, priced=prices is not None, best=_winner(lines, priced=prices is not None), policies=lines,
        wall_seconds=round(wall_seconds, 1),
    )  # fmt: skip


class _Best(NamedTuple):
    value: float | None
    errors: float | None


def _best_of(months: Sequence[Span], metric: str) -> _Best:
    values = [value for month in months if (value := getattr(month.governed, metric)) is not None]
    errors = [month.governed.errors for month in months if month.governed.errors is not None]
    choose = max if metric in HIGHER_IS_BETTER else min
    return _Best(choose(values, default=None), min(errors, default=None))


def _line(side: Side, months: Sequence[str], best: Mapping[str, _Best], prices: Prices | None) -> PolicyLine:
    report, governed = side.report, side.report.governed
    mine = {month.start: month for month in report.months}
    retrained = _retrainings_by_month(report.decision_log, report.timezone)
    cells = tuple(_cell(mine[start], best[start], report.metric, retrained[start]) for start in months if start in mine)
    errors = _total([cell.errors for cell in cells])
    behind = [
        abs(cell.value - value) for cell in cells if cell.value is not None and (value := best[cell.start].value) is not None
    ]
    lost = [cell.errors - fewest for cell in cells if cell.errors is not None and (fewest := best[cell.start].errors) is not None]
    cost = None
    if prices is not None and errors is not None:
        cost = _rounded(errors * prices.error + governed.training_minutes * prices.training_minute)
    return PolicyLine(
        name=side.name, words=side.words, value=getattr(governed, f"mean_monthly_{report.metric}"), errors=errors,
        retrainings=governed.retrainings, training_minutes=governed.training_minutes, cost=cost, alarms=governed.alarms,
        promotions=governed.promotions, rollbacks=governed.rollbacks, regret=_rounded(sum(behind) / len(behind)) if behind else None,
        regret_errors=_total(lost), failed_requests=report.failed_requests, decisions=report.decisions,
        decisions_replayed_equal=report.decisions_replayed_equal, months=cells,
    )  # fmt: skip


def _cell(month: Span, best: _Best, metric: str, retrainings: int) -> PolicyMonth:
    value = getattr(month.governed, metric)
    return PolicyMonth(
        start=month.start, n=month.n, value=value, errors=month.governed.errors, retrainings=retrainings,
        best=value is not None and value == best.value,
    )  # fmt: skip


def _retrainings_by_month(log: Sequence[DecisionLine], timezone: str) -> Counter[str]:
    zone = ZoneInfo(timezone)
    return Counter(
        datetime.fromisoformat(line.at).astimezone(zone).strftime("%Y-%m")
        for line in log
        if line.room == "autopilot"
        for act in line.action.split(", ")
        if act.startswith(("retrain", "improve"))
    )


def _winner(lines: Sequence[PolicyLine], *, priced: bool) -> str:
    """Of two that are equal the one that was asked for first."""
    known = [(line.cost if priced else line.errors, at) for at, line in enumerate(lines)]
    ranked = sorted((value, at) for value, at in known if value is not None)
    return lines[ranked[0][1]].name if ranked else ""


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(sum(known)) if known else None


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")
