"""From outcomes and scores to the figures of a replay's report. Pure: arrays in, records out."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.control.replay_report import AloneFigures, DriftMap, GovernedFigures, Performance, Span
from flyball.records.signature import Task
from flyball.stats.auc import roc_auc_interval
from flyball.stats.losses import bounded_loss
from flyball.stats.metrics import measure

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


def spans_of(times: pl.Series, calendar: Calendar, timezone: str) -> pl.Series:
    """The month, Monday or day (as text) that each UTC time belongs to by the calendar of `timezone`."""
    every, pattern = _STEPS[calendar]
    return times.dt.convert_time_zone(timezone).dt.truncate(every).dt.strftime(pattern)


def performance(
    task: Task, labels: npt.NDArray[np.generic], scores: npt.NDArray[np.float64], alpha: float, scale: float | None = None
) -> Performance:
    """One model over some rows; what is not defined for them or for the task is None."""
    errors = None
    if task != "regression" or scale is not None:
        errors = round(float(bounded_loss(task, scores, labels.astype(np.float64), scale).sum()), 6)
    if task == "regression":
        return Performance(mae=measure("mae", task, scores, labels), errors=errors)
    area: float | None
    if task == "binary" and min(np.bincount(labels.astype(np.int64), minlength=2)) >= 2:
        area, lower, upper = roc_auc_interval(labels, scores, alpha)
    else:
        area, lower, upper = measure("roc_auc", task, scores, labels), None, None
    return Performance(roc_auc=area, lower=lower, upper=upper, log_loss=measure("log_loss", task, scores, labels), errors=errors)


def figures_by(calendar: Calendar, task: Task, outcomes: Outcomes, timezone: str, alpha: float = 0.05) -> tuple[Span, ...]:
    """Both models span by span, in order of time."""
    frame = pl.DataFrame({"span": spans_of(outcomes.times, calendar, timezone), "unit": outcomes.units}).with_row_index("row")
    found = []
    for (start,), rows in frame.sort("span", "row").group_by("span", maintain_order=True):
        picked = rows["row"].to_numpy()
        labels = outcomes.labels[picked]
        counts = rows.group_by("unit").len().sort("unit")
        span = Span(
            start=str(start),
            n=rows.height,
            alone=performance(task, labels, outcomes.alone[picked], alpha, outcomes.scale),
            governed=performance(task, labels, outcomes.governed[picked], alpha, outcomes.scale),
            answered_by=dict(zip(counts["unit"].to_list(), counts["len"].to_list(), strict=True)),
        )
        found.append(span)
    return tuple(found)


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
    return {f"mean_monthly_{name}": _mean([getattr(row, name) for row in rows]) for name in ("roc_auc", "log_loss", "mae")}


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
