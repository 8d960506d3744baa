"""Several policies over one history, side by side: the contents of a comparison's report.json. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from flyball.control.replay_margin import Margin, margin_of
from flyball.control.replay_metrics import pooled
from flyball.control.replay_report import Performance, ReplayReport, Span
from flyball.stats.metrics import HIGHER_IS_BETTER

UNANSWERED_SHARE = 0.01
"""Who answered fewer than 99 % of the rows that another answered is not ranked with it: a row that is refused costs no error here, and what it costs its
user nobody has said. Below it stand the requests of an hour or two in a month: a switch, or a worker's restart."""


class Prices(NamedTuple):
    """What the project says that things cost, in its own unit."""

    error: float
    training_minute: float


class PolicyMonth(msgspec.Struct, frozen=True, kw_only=True):
    start: str
    n: int
    """Rows that it answered, with an outcome; 0: none."""
    value: float | None
    """Of the report's metric; None: not defined there."""
    errors: float | None
    """Sum of bounded losses: 1 is an answer as wrong as can be."""
    retrainings: int
    ranked: bool
    """False: it answered fewer rows of this month than another, so it is neither the best of it nor held against the best."""
    best: bool
    """None of the ranked ones was better in this month."""


class PolicyLine(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's year."""

    name: str
    words: str
    """`no policies`, `flyball.yaml as it is`, or the file."""
    answered: int
    """Rows with an outcome."""
    ranked: bool
    """False: it answered fewer than 99 % of the rows that another did."""
    value: float | None
    """Mean of the months' metric: every month counts alike."""
    value_by_unit: float | None = None
    """The same of a metric of the order of rows, among the rows of one unit; None: another metric."""
    accuracy: float | None = None
    """The same of a binary model's answers, at the threshold at which each was given."""
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
    """By how much it was worse than the best of each month, on average over the months in which it is ranked: the best in hindsight changes policies every month."""
    regret_errors: float | None
    """Errors more than those of the best of each of these months, summed."""
    regret_months: int | None = None
    """That regret is of; None: compared by a Flyball that did not say."""
    failed_requests: int
    stopped_at: str = ""
    """Since when it had the model stopped, which refused what it was asked; empty: it did not."""
    unanswered: tuple[str, ...] = ()
    """Questions that nobody had answered at its end, with since when: with `replay.approve: false` its policy only waited from then on."""
    breaker: str = ""
    """Since when, and why, its breaker kept policies from acting, at its end; empty: it did not."""
    decisions: int
    decisions_replayed_equal: int
    months: tuple[PolicyMonth, ...]


class FailedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One whose replay did not come to its end, and is compared with nobody."""

    name: str
    words: str
    """What went wrong."""


class ComparisonReport(msgspec.Struct, frozen=True, kw_only=True):
    project: str
    model: str
    task: str
    metric: str
    since: str
    until: str
    timezone: str
    priced: bool
    """flyball.yaml declares `cost:`, so `best` is the cheapest at these prices; else the one with the fewest errors."""
    priced_otherwise: tuple[str, ...] = ()
    """Policies whose files say other prices, by which they acted and nobody is ranked."""
    best: str
    """Of the ranked ones; empty: nothing is known of any."""
    margin: Margin | None = None
    """Of the best over the next; None: there is no next that is ranked."""
    policies: tuple[PolicyLine, ...]
    """In the order asked for, of those whose replays are over."""
    failed: tuple[FailedPolicy, ...] = ()
    """The others."""
    rethresholded: bool = False
    """Another threshold than the declared one answered somebody, which `accuracy` tells and no metric of the scores does."""
    pooled: bool = False
    """The metric and its regret are of the order of rows, and rows of one month were answered by several units."""
    wall_seconds: float
    """Of this command."""


def of_prices(report: ComparisonReport) -> str:
    """By whose prices it is ranked where policies name others; empty: none does."""
    names = ", ".join(report.priced_otherwise)
    if not names:
        return ""
    ranked = (
        "all are priced and ranked by those of flyball.yaml"
        if report.priced
        else "flyball.yaml has none, so nobody is ranked by cost; declare cost: there"
    )
    return f"{names} acted by {'its' if len(report.priced_otherwise) == 1 else 'their'} own prices (cost:); {ranked}"


class Side(NamedTuple):
    """A policy and what its replay found."""

    name: str
    words: str
    report: ReplayReport


def compare(
    sides: Sequence[Side],
    prices: Prices | None,
    wall_seconds: float,
    failed: Sequence[FailedPolicy] = (),
    priced_otherwise: Sequence[str] = (),
) -> ComparisonReport:
    """At least one side; all of one project and history. `prices`: of flyball.yaml, at which all are priced, whatever their own files say."""
    first = sides[0].report
    by_side = [{month.start: month for month in side.report.months} for side in sides]
    starts = sorted({start for of in by_side for start in of})
    best = [_best_of(start, [of[start] for of in by_side if start in of], first.metric) for start in starts]
    most = max(_answered(side.report.months) for side in sides)
    lines = tuple(_line(side, best, most, prices) for side in sides)
    ranked = _ranking(lines, priced=prices is not None)
    return ComparisonReport(
        project=first.project, model=first.model, task=first.task, metric=first.metric, since=first.since, until=first.until,
        timezone=first.timezone, priced=prices is not None, best=ranked[0].name if ranked else "", policies=lines,
        margin=_margin(ranked[0], ranked[1], prices) if len(ranked) > 1 else None,
        failed=tuple(failed), priced_otherwise=tuple(priced_otherwise), pooled=any(pooled(first.metric, side.report.months) for side in sides),
        rethresholded=any(side.report.rethresholded for side in sides), wall_seconds=round(wall_seconds, 1),
    )  # fmt: skip


class _Best(NamedTuple):
    """Of the compared ones in one month."""

    start: str
    n: int
    """The most rows that one of them answered."""
    value: float | None
    errors: float | None


def _best_of(start: str, months: Sequence[Span], metric: str) -> _Best:
    most = max(month.n for month in months)
    whole = [month.governed for month in months if _whole(month.n, most)]
    values = [value for governed in whole if (value := getattr(governed, metric)) is not None]
    errors = [governed.errors for governed in whole if governed.errors is not None]
    choose = max if metric in HIGHER_IS_BETTER else min
    return _Best(start, most, choose(values, default=None), min(errors, default=None))


def _line(side: Side, best: Sequence[_Best], most: int, prices: Prices | None) -> PolicyLine:
    report, governed = side.report, side.report.governed
    mine = {month.start: month for month in report.months}
    retrained = _by_month(governed.retrained_at, report.timezone)
    cells = tuple(_cell(mine.get(of.start), of, report.metric, retrained[of.start]) for of in best)
    errors = _total([cell.errors for cell in cells])
    held = [(cell, of) for cell, of in zip(cells, best, strict=True) if cell.ranked]
    behind = [abs(cell.value - of.value) for cell, of in held if cell.value is not None and of.value is not None]
    lost = [cell.errors - of.errors for cell, of in held if cell.errors is not None and of.errors is not None]
    cost = None
    if prices is not None and errors is not None:
        cost = _rounded(errors * prices.error + governed.training_minutes * prices.training_minute)
    answered = _answered(report.months)
    return PolicyLine(
        name=side.name, words=side.words, answered=answered, ranked=_whole(answered, most),
        value=getattr(governed, f"mean_monthly_{report.metric}"), errors=errors,
        value_by_unit=governed.mean_monthly_by_unit, accuracy=governed.mean_monthly_accuracy,
        retrainings=governed.retrainings, training_minutes=governed.training_minutes, cost=cost, alarms=governed.alarms,
        promotions=governed.promotions, rollbacks=governed.rollbacks, regret=_rounded(sum(behind) / len(behind)) if behind else None,
        regret_errors=_total(lost), regret_months=len(behind), failed_requests=report.failed_requests, stopped_at=report.stopped_at,
        unanswered=report.questions, breaker=_breaker(report),
        decisions=report.decisions,
        decisions_replayed_equal=report.decisions_replayed_equal, months=cells,
    )  # fmt: skip


def _breaker(report: ReplayReport) -> str:
    since = f"since {report.breaker_since[:10]}: " if report.breaker_since else ""
    return f"{since}{report.breaker}" if report.breaker else ""


def _cell(month: Span | None, best: _Best, metric: str, retrainings: int) -> PolicyMonth:
    n, governed = (month.n, month.governed) if month is not None else (0, Performance())
    value, ranked = getattr(governed, metric), _whole(n, best.n)
    return PolicyMonth(
        start=best.start, n=n, value=value, errors=governed.errors, retrainings=retrainings, ranked=ranked,
        best=ranked and value is not None and value == best.value,
    )  # fmt: skip


def _whole(answered: int, most: int) -> bool:
    """Whether it answered as many rows as who answered most, but for a few."""
    return answered >= most * (1.0 - UNANSWERED_SHARE)


def _answered(months: Iterable[Span]) -> int:
    return sum(month.n for month in months)


def _by_month(moments: Iterable[str], timezone: str) -> Counter[str]:
    """By the project's own calendar."""
    zone = ZoneInfo(timezone)
    return Counter(datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m") for at in moments)


def _ranking(lines: Sequence[PolicyLine], *, priced: bool) -> list[PolicyLine]:
    """The best first; of two that are equal the one that was asked for first."""
    known = [(line.cost if priced else line.errors, at) for at, line in enumerate(lines) if line.ranked]
    return [lines[at] for _, at in sorted((value, at) for value, at in known if value is not None)]


def _margin(best: PolicyLine, over: PolicyLine, prices: Prices | None) -> Margin:
    pairs = [
        (of_best, of_next) for of_best, of_next in zip(best.months, over.months, strict=True) if of_best.ranked and of_next.ranked
    ]
    lost = [(_lost(mine, best, prices), _lost(other, over, prices)) for mine, other in pairs]
    differences = [theirs - ours for ours, theirs in lost if ours is not None and theirs is not None]
    return margin_of(over.name, differences, "errors" if prices is None else "of cost")


def _lost(month: PolicyMonth, line: PolicyLine, prices: Prices | None) -> float | None:
    """Errors of a month, or what it cost: each of a policy's retrainings took as long as another."""
    if month.errors is None or prices is None:
        return month.errors
    minutes = line.training_minutes * month.retrainings / line.retrainings if line.retrainings else 0.0
    return month.errors * prices.error + minutes * prices.training_minute


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(sum(known)) if known else None


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")
