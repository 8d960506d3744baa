"""What a trained model shows on the holdout: each metric with its interval, and the paired difference to the champion on the same rows."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.records.evidence import Evidence
from flyball.records.signature import Task
from flyball.stats import ranked_areas
from flyball.stats.auc import roc_auc_difference, roc_auc_interval
from flyball.stats.bootstrap import Difference, block_bootstrap_of_counts, paired_block_bootstrap
from flyball.stats.losses import bounded_loss
from flyball.stats.metrics import HALF, measure, of_answers, predicted, undefined
from flyball.stats.ranked_areas import AREAS

Floats = NDArray[np.float64]

_DAY_US = 86_400_000_000
_FEWEST_DAYS = 20
"""The percentile interval is too narrow with fewer blocks (stats/bootstrap.py); rows of less time are cut into blocks of neighbours instead."""
_BLOCKS = 50
_RESAMPLES = 1000
UNSEEN = "champion_unseen_rows"
"""Evidence: rows of the holdout that the champion was not fitted on, where it was fitted on others. A note says why they are too few to compare on."""
UNASKED = "champion_unasked"
"""Evidence without a value: the champion cannot be asked about the holdout. The note says why."""
LEAST_UNSEEN = 100
"""Rows: a mean difference of Brier scores is then known to ±0.02 or so, as in tournaments."""
_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""As scikit-learn's log loss: without it one sure mistake is infinite."""


class Holdout(NamedTuple):
    """Rows that were not trained on."""

    task: Task
    labels: Floats
    """(n_rows,) class indices or values."""
    event_us: NDArray[np.int64]
    """(n_rows,) microseconds UTC."""

    def where(self, mask: NDArray[np.bool_]) -> "Holdout":
        return Holdout(self.task, self.labels[mask], self.event_us[mask])


class Answers(NamedTuple):
    """A model's to the holdout."""

    scores: Floats
    """(n_rows, n_scores)"""
    threshold: float = HALF
    """Two classes: the score from which it answers the positive one."""


def measure_all(metrics: Sequence[str], holdout: Holdout, answers: Answers, alpha: float, seed: int) -> tuple[Evidence, ...]:
    """Each metric with an interval, or None with the reason."""
    return tuple(_measured(name, holdout, answers, alpha, seed) for name in metrics)


def compare_all(
    metrics: Sequence[str], holdout: Holdout, challenger: Answers, champion: Answers, alpha: float, seed: int
) -> tuple[Evidence, ...]:
    """Per metric `champion_<metric>` and the paired `<metric>_difference` = challenger − champion on the same rows; where they are too few for it
    (of a class, mostly), `<metric>_too_few` says so."""
    found: list[Evidence] = []
    for name in metrics:
        value = measure(name, holdout.task, champion.scores, holdout.labels, champion.threshold)
        found.append(
            _evidence(
                f"champion_{name}",
                holdout,
                champion.scores,
                value,
                method=of_answers(name, holdout.task, champion.threshold).removeprefix(", "),
                note="" if value is not None else undefined(name, holdout.task, champion.scores, holdout.labels),
            )
        )
        difference = _difference(name, holdout, challenger, champion, alpha, seed)
        found.append(difference)
        if difference.value is None:  # the metric is one of the task, and every score is finite: what it lacks is rows
            found.append(Evidence(name=too_few(name), value=None, n=difference.n, note=difference.note))
    return tuple(found)


def too_few(metric: str) -> str:
    """Evidence without a value: the rows are too few to compare by the metric. The note says of what."""
    return f"{metric}_too_few"


def unasked(metrics: Sequence[str], why: str) -> tuple[Evidence, ...]:
    """Of a champion that cannot answer these rows, whatever challenger asks: a release asks it about live ones."""
    return (Evidence(name=UNASKED, value=None, note=why), *not_comparable(metrics, why))


def not_comparable(metrics: Sequence[str], why: str) -> tuple[Evidence, ...]:
    """The differences of which nothing is known."""
    return tuple(Evidence(name=f"{name}_difference", value=None, note=why) for name in metrics)


def unseen_rows(holdout: Holdout, fitted_until_us: int) -> tuple[NDArray[np.bool_], Evidence | None]:
    """(n_rows,) those that a champion was not fitted on, and what to tell of them; None: it was fitted on none.

    A model is better on rows that it was fitted on than on others, and on those of their time than one that knows nothing of it: compared there, no challenger
    would ever be as good.
    """
    new = holdout.event_us > fitted_until_us
    n, left = int(new.size), int(new.sum())
    if left == n:
        return new, None
    # Of classes nothing is asked: one rare class would leave the rule out for all others, and a metric that needs it says so itself.
    few = f"the champion knows {n - left} of the {n} rows of the holdout, and {left} are too few to compare on (at least {LEAST_UNSEEN})"
    note = few if left < LEAST_UNSEEN else ""
    return new, Evidence(
        name=UNSEEN, value=float(left), n=n, since=_moment(holdout.event_us.min()), until=_moment(holdout.event_us.max()),
        method="rows of the holdout that are newer than all that the champion knows", note=note,
    )  # fmt: skip


def label_scale(task: Task, labels: Floats) -> float:
    """Regression: the absolute error that counts as a loss of 1, the 99th percentile of |y − median|; classification: 1."""
    if task != "regression":
        return 1.0
    scale = float(np.quantile(np.abs(labels - np.median(labels)), 0.99))
    if scale > 0.0:
        return scale
    # More than 99 % of labels are one value: the largest distance, else any positive unit.
    return float(np.abs(labels - np.median(labels)).max()) or 1.0


def _measured(name: str, holdout: Holdout, answers: Answers, alpha: float, seed: int) -> Evidence:
    scores = answers.scores
    value = measure(name, holdout.task, scores, holdout.labels, answers.threshold)
    if value is None:
        return _evidence(name, holdout, scores, None, note=undefined(name, holdout.task, scores, holdout.labels))
    try:
        if name == "roc_auc" and holdout.task == "binary":
            area = roc_auc_interval(holdout.labels, scores, alpha)
            return _evidence(name, holdout, scores, area.value, (area.lower, area.upper, alpha), "DeLong, logit scale")
        found, method = _resampled(name, holdout, (answers,), alpha, seed)
    except ValueError as error:
        return _evidence(name, holdout, scores, value, note=f"no interval: {error}")
    method += of_answers(name, holdout.task, answers.threshold)
    return _evidence(name, holdout, scores, value, (found.lower, found.upper, alpha), method)


def _difference(name: str, holdout: Holdout, challenger: Answers, champion: Answers, alpha: float, seed: int) -> Evidence:
    ours, theirs = challenger.scores, champion.scores
    both = np.hstack([ours, theirs])
    label = f"{name}_difference"
    why = undefined(name, holdout.task, ours, holdout.labels) or undefined(name, holdout.task, theirs, holdout.labels)
    if why:
        return _evidence(label, holdout, both, None, note=why)
    try:
        if name == "roc_auc" and holdout.task == "binary":
            area = roc_auc_difference(holdout.labels, theirs, ours, alpha)
            return _evidence(label, holdout, both, area.value, (area.lower, area.upper, alpha), "DeLong, paired")
        found, method = _resampled(name, holdout, (champion, challenger), alpha, seed)
    except ValueError as error:
        return _evidence(label, holdout, both, None, note=f"no interval: {error}")
    method += of_answers(name, holdout.task, challenger.threshold)
    if challenger.threshold != champion.threshold:
        method += of_answers(name, holdout.task, champion.threshold).replace(", positive", ", of the champion", 1)
    return _evidence(label, holdout, both, found.value, (found.lower, found.upper, alpha), f"paired {method}")


def _resampled(name: str, holdout: Holdout, models: tuple[Answers, ...], alpha: float, seed: int) -> tuple[Difference, str]:
    """Of one model's metric, or of the second's minus the first's; and how. Raises ValueError."""
    blocks, unit = _blocks(holdout.event_us)
    method = f"block bootstrap by {unit}, {_RESAMPLES} draws"
    _, index = np.unique(blocks, return_inverse=True)
    count = np.bincount(index).astype(np.float64)
    if name in AREAS:
        *first, second = (ranked_areas.resampled(name, holdout.task, each.scores, holdout.labels, index) for each in models)
        areas = block_bootstrap_of_counts(
            lambda drawn: second(drawn) - sum(each(drawn) for each in first), count.size, alpha, seed, _RESAMPLES
        )
        return areas, method
    of_model = [_sums(_row_parts(name, holdout, each), index) for each in models]
    metric, nothing = _of_sums(name), np.zeros_like(of_model[0])
    of_sums = paired_block_bootstrap(
        lambda rows, sums: metric(rows, sums) if sums.any() else 0.0,
        count, of_model[0] if len(models) > 1 else nothing, of_model[-1], np.arange(count.size), alpha, seed, _RESAMPLES,
    )  # fmt: skip
    return of_sums, method


def _sums(per_row: Floats, index: NDArray[np.intp]) -> Floats:
    """(n_blocks, n_parts)"""
    return np.stack([np.bincount(index, weights=per_row[:, i]) for i in range(per_row.shape[1])], axis=1)


def _of_sums(name: str) -> Callable[[Floats, Floats], float]:
    """The metric from (rows per block, sums per block)."""
    if name == "rmse":
        return lambda rows, sums: float(np.sqrt(sums.sum() / rows.sum()))
    if name == "f1":
        return _f1
    return lambda rows, sums: float(sums.sum() / rows.sum())


def _f1(_: Floats, sums: Floats) -> float:
    """Over the classes that the whole holdout has or the model names there, as scikit-learn does; one that a resample lacks counts as 0."""
    hits, wrong = sums.sum(axis=0).reshape(-1, 2).T  # per class: true positives; false positives and false negatives together
    total = 2.0 * hits + wrong
    return float(np.divide(2.0 * hits, total, out=np.zeros_like(hits), where=total > 0).mean())


def _row_parts(name: str, holdout: Holdout, answers: Answers) -> Floats:
    """(n_rows, n_parts) whose sums give the metric: of each but the areas."""
    task, labels, scores = holdout.task, holdout.labels, answers.scores
    if name == "brier":
        return bounded_loss(task, scores, labels)[:, None]
    if name == "mae":
        return np.abs(scores[:, :1] - labels[:, None])
    if name == "rmse":
        return (scores[:, :1] - labels[:, None]) ** 2
    if name == "mape":
        return np.abs(scores[:, :1] - labels[:, None]) / np.maximum(np.abs(labels[:, None]), _SMALLEST_PROBABILITY)
    return _class_parts(name, task, labels.astype(np.int64), answers)


def _class_parts(name: str, task: Task, truth: NDArray[np.int64], answers: Answers) -> Floats:
    scores = answers.scores
    table = np.hstack([1.0 - scores, scores]) if task == "binary" else scores
    rows = np.arange(truth.size)
    if name == "log_loss":
        table = np.clip(table, 0.0, 1.0)
        of_truth = table[rows, truth] / table.sum(axis=1)
        return np.asarray(-np.log(np.clip(of_truth, _SMALLEST_PROBABILITY, 1.0)), dtype=np.float64)[:, None]
    chosen = predicted(task, scores, answers.threshold)
    if name == "accuracy":
        return np.asarray(chosen == truth, dtype=np.float64)[:, None]
    classes = (1,) if task == "binary" else range(table.shape[1])
    parts = []
    for each in classes:
        named, there = chosen == each, truth == each
        # Of the whole holdout, once: else a resample without a rare class would be of another metric.
        if task == "binary" or named.any() or there.any():
            parts += [named & there, named != there]
    return np.asarray(np.stack(parts, axis=1), dtype=np.float64)


def _blocks(event_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
    days = event_us // _DAY_US
    if np.unique(days).size >= _FEWEST_DAYS:
        return days, "day"
    # Neighbours in time stay together, so that what days share does not look like independent rows.
    n_blocks = max(2, min(_BLOCKS, event_us.size // 2))
    rank = np.empty(event_us.size, dtype=np.int64)
    rank[np.argsort(event_us, kind="stable")] = np.arange(event_us.size)
    return rank * n_blocks // event_us.size, "run of neighbouring rows"


def _evidence(  # noqa: PLR0913, PLR0917 - the parts of one record
    name: str,
    holdout: Holdout,
    scores: Floats,
    value: float | None,
    interval: tuple[float, float, float] | None = None,
    method: str = "",
    note: str = "",
) -> Evidence:
    digest = hashlib.sha256(holdout.labels.tobytes() + np.ascontiguousarray(scores).tobytes()).hexdigest()
    lower, upper, alpha = interval or (None, None, None)
    return Evidence(
        name=name, value=value, lower=lower, upper=upper, alpha=alpha, n=int(holdout.labels.size), unit="rows",
        since=_moment(holdout.event_us.min()), until=_moment(holdout.event_us.max()), method=method, inputs=digest, note=note,
    )  # fmt: skip


def _moment(at_us: np.int64) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(at_us))
