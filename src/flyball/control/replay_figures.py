"""From outcomes and scores to the figures of a replay's report. Pure: arrays in, records out."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.control.replay_metrics import BY_TASK, BY_UNIT, RANKINGS
from flyball.control.replay_report import AloneFigures, DriftMap, GovernedFigures, Performance, Span
from flyball.records.signature import Task
from flyball.stats.auc import roc_auc_interval
from flyball.stats.losses import bounded_loss
from flyball.stats.metrics import DECIDED, HALF, METRICS, measure

Calendar = Literal["month", "week", "day"]
_STEPS: dict[Calendar, tuple[str, str]] = {"month": ("1mo", "%Y-%m"), "week": ("1w", "%Y-%m-%d"), "day": ("1d", "%Y-%m-%d")}


class Outcomes(NamedTuple):
    """Every row whose outcome is known, in any order."""

    times: pl.Series  # (n,) event times, UTC
    labels: npt.NDArray[np.generic]  # (n,) class index, or a number for regression
    alone: npt.NDArray[np.float64]  # (n, n_scores) of the first version
    governed: npt.NDArray[np.float64]  # (n, n_scores) as answered
    units: pl.Series  # (n,) who answered
    scale: float | None = None  # of the bounded loss; regression only
    thresholds: npt.NDArray[np.float64] | None = None  # (n,) of who answered; None: of two classes one half, else none
    alone_threshold: float = HALF  # of the first version


class Answers(NamedTuple):
    """One model's, to some rows."""

    scores: npt.NDArray[np.float64]  # (n, n_scores)
    labels: npt.NDArray[np.generic]  # (n,)
    decided: npt.NDArray[
        np.float64
    ]  # (n, n_scores) what DECIDED metrics are of: for two classes 1 or 0, at whichever threshold it was
    units: npt.NDArray[
        np.unsignedinteger[Any]
    ]  # (n,) who answered the governed rows, in numbers: of both models the same rows are ranked alone


def spans_of(times: pl.Series, calendar: Calendar, timezone: str) -> pl.Series:
    """The month, Monday or day (as text) that each UTC time belongs to by the calendar of `timezone`."""
    every, pattern = _STEPS[calendar]
    return times.dt.convert_time_zone(timezone).dt.truncate(every).dt.strftime(pattern)


def performance(task: Task, metrics: tuple[str, ...], answers: Answers, alpha: float, scale: float | None = None) -> Performance:
    """One model over some rows; what is not defined for them or for the task is None. `metrics`: the report's own first."""
    scores, labels, errors = answers.scores, answers.labels, None
    if task != "regression" or scale is not None:
        errors = round(float(bounded_loss(task, scores, labels.astype(np.float64), scale).sum()), 6)
    found: dict[str, float | None] = {}
    if task == "binary" and "roc_auc" in metrics and min(np.bincount(labels.astype(np.int64), minlength=2)) >= 2:
        found["roc_auc"], found["lower"], found["upper"] = roc_auc_interval(labels, scores, alpha)
    for name in metrics:
        if name not in found:
            found[name] = measure(name, task, answers.decided if name in DECIDED else scores, labels)
    if metrics[0] in RANKINGS:
        one = labels.size > 0 and bool((answers.units == answers.units[0]).all())
        found[BY_UNIT] = found[metrics[0]] if one else _by_unit(metrics[0], task, answers)
    # Their last bits hang on the order of rows: policies that answered alike would differ by them.
    short = {name: None if value is None else float(f"{value:.10g}") for name, value in found.items()}
    return Performance(**short, errors=errors)


def _by_unit(metric: str, task: Task, answers: Answers) -> float | None:
    """Over the units on whose rows it is defined, as many times as they have rows."""
    known: list[tuple[float, int]] = []
    for unit in np.unique(answers.units):
        mine = answers.units == unit
        value = measure(metric, task, answers.scores[mine], answers.labels[mine])
        known += [] if value is None else [(value, int(mine.sum()))]
    return float(np.average([value for value, _ in known], weights=[n for _, n in known])) if known else None


def figures_by(
    calendar: Calendar, task: Task, outcomes: Outcomes, timezone: str, alpha: float = 0.05, metrics: tuple[str, ...] = ()
) -> tuple[Span, ...]:
    """Both models span by span, in order of time. `metrics`: as `replay_metrics.measured` has them; empty: the task's."""
    told, units = metrics or BY_TASK[task], outcomes.units.rank("dense").to_numpy()
    alone = Answers(outcomes.alone, outcomes.labels, _decided(task, outcomes.alone, outcomes.alone_threshold), units)
    shown = HALF if outcomes.thresholds is None else outcomes.thresholds
    governed = Answers(outcomes.governed, outcomes.labels, _decided(task, outcomes.governed, shown), units)
    frame = pl.DataFrame({"span": spans_of(outcomes.times, calendar, timezone), "unit": outcomes.units}).with_row_index("row")
    found = []
    for (start,), rows in frame.sort("span", "row").group_by("span", maintain_order=True):
        picked = rows["row"].to_numpy()
        counts = rows.group_by("unit").len().sort("unit")
        span = Span(
            start=str(start),
            n=rows.height,
            alone=performance(task, told, _picked(alone, picked), alpha, outcomes.scale),
            governed=performance(task, told, _picked(governed, picked), alpha, outcomes.scale),
            answered_by=dict(zip(counts["unit"].to_list(), counts["len"].to_list(), strict=True)),
        )
        found.append(span)
    return tuple(found)


def _picked(answers: Answers, rows: npt.NDArray[Any]) -> Answers:
    return Answers(*(each[rows] for each in answers))


def _decided(task: Task, scores: npt.NDArray[np.float64], thresholds: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of two classes the answers themselves, which at one half are what they are; of others nothing else is answered than the scores say."""
    return (scores[:, 0] >= thresholds).astype(np.float64)[:, None] if task == "binary" else scores


def alone_figures(months: Iterable[Span]) -> AloneFigures:
    return AloneFigures(**_means(month.alone for month in months))


def governed_figures(months: Iterable[Span], **counted: Any) -> GovernedFigures:
    """`counted`: retrainings and what else was counted."""
    means: dict[str, Any] = {**_means(month.governed for month in months)}
    return GovernedFigures(**means, **counted)


def drift_map(windows: Iterable[tuple[datetime, Mapping[str, float]]], features: Iterable[str], timezone: str) -> DriftMap:
    """Mean distance by feature and week, from closed windows (start, feature → distance). Features keep their order; `prediction`, if any, comes last."""
    readings = [(start, name, float(distance)) for start, drift in windows for name, distance in drift.items()]
    if not readings:
        return DriftMap()
    starts, names, distances = zip(*readings, strict=True)
    times = pl.Series("time", starts, dtype=pl.Datetime("us", "UTC"))
    table = pl.DataFrame({"week": spans_of(times, "week", timezone), "name": names, "distance": distances})
    means = table.group_by("name", "week").agg(pl.col("distance").mean())
    cells = {(name, week): distance for name, week, distance in means.iter_rows()}
    weeks = tuple(sorted(set(table["week"].to_list())))
    present = set(names)
    order = [name for name in features if name in present]
    order += sorted(present - set(order))
    distances_by_feature = tuple(tuple(cells.get((name, week)) for week in weeks) for name in order)
    return DriftMap(features=tuple(order), weeks=weeks, distances=distances_by_feature)


def _means(performances: Iterable[Performance]) -> dict[str, float | None]:
    """Plain means over the months in which a metric is defined: every month counts alike, however many rows it has."""
    rows = list(performances)
    return {f"mean_monthly_{name}": _mean([getattr(row, name) for row in rows]) for name in (*METRICS, BY_UNIT)}


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
