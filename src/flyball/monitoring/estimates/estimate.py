"""How good is it, before any label is here? Every metric of a window with an interval for what its labels will say; or void, and why.

Assumes covariate shift: what features and scores mean is as it was on the reference, however often each of them now occurs. Whether that holds
cannot be seen without labels; `trust` watches it where labels come late.
"""

import hashlib
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.monitoring.estimates import intervals, outcomes, parts, tables, unknown, void
from flyball.monitoring.estimates.intervals import ALPHA, Sample
from flyball.monitoring.estimates.parts import LOSS, Part
from flyball.monitoring.estimates.prepared import Learned, Prepared
from flyball.monitoring.estimates.rows import EstimationReference
from flyball.monitoring.estimates.tables import Table
from flyball.monitoring.estimates.trust import MISS, Trust
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.stats import metrics
from flyball.stats.block_spread import block_spread, variance_of_mean
from flyball.stats.density_ratio import Ratio, density_ratio
from flyball.stats.losses import bounded_loss

Floats = NDArray[np.float64]

MAX_WINDOW = 10_000
"""Rows of a window that are used; of a larger one an even sample. Labels' luck and the reference then outweigh what more rows would tell."""
MIN_ROWS = 50
POWER = 0.8


class Increase(msgspec.Struct, frozen=True, kw_only=True):
    """Estimated mean bounded loss of the window minus that of the reference, as expectations: no luck of labels in it."""

    value: float
    deviation: float
    """Standard error."""
    usual: float
    """Standard deviation of the loss between blocks of the reference."""
    blocks: int
    """Of the reference; 0: too few, so `usual` is not known."""


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    window: str
    metrics: dict[str, Evidence]
    """By name; `bounded_loss` is among them. Void or not defined: value None, and the note says why."""
    increase: Increase | None
    """None: void."""
    loss_within: tuple[float, float] | None = None
    """Ends between which the `bounded_loss` of the window's labels lies but for a chance of `trust.MISS`. None: void."""
    void: str = ""
    """Why nothing is estimated; empty: it is."""
    rows: int = 0
    """Of the window, as used."""
    effective: float | None = None
    """Rows of the reference that in effect resemble the window."""
    outside: float | None = None
    """Share of the window's rows that the reference does not know."""
    labels_needed: int | None = None
    """Labels of rows drawn at random from this window that would tell a concept shift worth `tolerance` from none (95 %, power 80 %)."""
    words: str = ""


class _Question(NamedTuple):
    known: Prepared
    learned: Learned
    own: Table
    """Numbers in bins of both samples, as in `now`."""
    now: Table
    coded: Table
    """The window's rows, coded as the reference's by themselves."""
    window: Window
    all_rows: int
    digest: str
    notes: str


def estimate(
    reference: EstimationReference | Prepared,
    columns: Mapping[str, Any],
    scores: ArrayLike,
    window: Window,
    trust: Trust | None = None,
    tolerance: float = 0.01,
) -> Estimates:
    """Estimate one closed window: `columns` as the model took them, `scores` (n_rows, n_scores), rows in order of time.

    A reference that is `Prepared` gives the same, sooner for the next window. Rows whose scores are not finite are left out. Columns of the reference that
    the window lacks are taken as unchanged, and the note says so. The same rows give the same answer, byte for byte. Raises DataError when columns and
    scores do not belong together.
    """
    known = reference if isinstance(reference, Prepared) else Prepared(reference)
    asked = _ask(known, columns, scores, window)
    why = void.too_few(len(asked.now.scores), MIN_ROWS, known.labels, classes=known.reference.task != "regression")
    if why or (trust is not None and (why := trust.void)):
        return _void(asked, why, None)
    if why := unknown.why_void(asked.learned.own.columns, asked.learned.usual, columns, len(np.asarray(scores))):
        return _void(asked, why, None)
    ratio = density_ratio(asked.own.values, asked.now.values, asked.own.categorical)
    if why := void.unsupported(ratio):
        return _void(asked, why, ratio)
    if known.reference.task == "regression":
        found = parts.regression(known.losses, asked.learned.losses, asked.coded, ratio.reference)
    else:
        outcome = outcomes.probabilities(asked.learned.classes, asked.coded, ratio.reference)
        if why := void.uncalibrated(outcome, known.labels, ratio.reference, known.blocks):
            return _void(asked, why, ratio)
        found = parts.classification(known.reference, asked.now, outcome, asked.own)
    return _estimated(
        asked, found, Sample(ratio.reference, known.blocks, len(asked.now.scores), asked.all_rows), ratio, tolerance
    )


def _ask(known: Prepared, columns: Mapping[str, Any], scores: ArrayLike, window: Window) -> _Question:
    given = tables.columns_of_window(known.reference, columns, scores)
    learned = known.learned([*given.values])
    own, now = tables.together(learned.own, given)
    coded = learned.own.codes.table(given)
    usable = np.flatnonzero(np.isfinite(now.scores).all(axis=1))
    kept = usable
    if usable.size > MAX_WINDOW:
        kept = usable[np.linspace(0, usable.size - 1, MAX_WINDOW).round().astype(np.intp)]
    now, coded = (Table(side.values[kept], side.categorical, side.scores[kept]) for side in (now, coded))
    missing = [name for name in known.reference.columns if name not in columns]
    notes = [f"an even sample of {kept.size} of {usable.size} rows"] if kept.size < usable.size else []
    notes += [f"taken as unchanged, for want of values: {', '.join(missing)}"] if missing else []
    digest = hashlib.sha256(own.values.tobytes() + known.labels.tobytes() + now.values.tobytes()).hexdigest()
    return _Question(known, learned, own, now, coded, window, int(usable.size), digest, "; ".join(notes))


def _estimated(asked: _Question, found: dict[str, Part | None], sample: Sample, ratio: Ratio, tolerance: float) -> Estimates:
    metrics = {name: _evidence(asked, name, part, sample) for name, part in found.items()}
    loss = found[LOSS]
    if loss is None:  # never: a mean is defined wherever there are rows
        raise AssertionError(LOSS)
    increase = _increase(asked.known.reference, asked.own, loss, sample)
    _, lowest, highest = intervals.interval(LOSS, intervals.moments(loss, sample), MISS)
    needed = labels_needed(loss.label_variance, tolerance)
    told = metrics[LOSS]
    words = (
        f"mean bounded loss estimated at {told.value:.4f} ({told.lower:.4f} to {told.upper:.4f}), {increase.value:+.4f} against the reference, "
        f"if features still mean what they meant: {needed:,} labels of random rows of this window would tell"
    )
    return Estimates(
        window=asked.window.id,
        metrics=metrics,
        increase=increase,
        loss_within=(_rounded(lowest), _rounded(highest)),
        rows=sample.rows,
        effective=_rounded(ratio.effective),
        outside=_rounded(ratio.outside),
        labels_needed=needed,
        words=words,
    )


def labels_needed(variance: float, increase: float) -> int:
    """Random rows whose labels tell a mean that rose by `increase` from one that did not: level 5 % (one-sided), power POWER; normal law.

    >>> labels_needed(0.04, 0.02)
    619
    """
    if not increase > 0.0:
        raise ValueError(f"expected an increase above 0, found {increase}")
    reach = NormalDist().inv_cdf(1.0 - ALPHA) + NormalDist().inv_cdf(POWER)
    return max(1, math.ceil(reach**2 * variance / increase**2))


def _increase(reference: EstimationReference, own: Table, part: Part, sample: Sample) -> Increase:
    """The reference's rows stand in both means, so their errors partly cancel: one influence for the difference."""
    task = reference.task
    loss = bounded_loss(task, own.scores, reference.labels, reference.scale if task == "regression" else None)
    found = intervals.moments(part, sample)
    mean = float(loss.mean())
    correction = found.value - part.value
    own_part = sample.weights * (part.residuals - correction) - (loss - mean)
    equal = np.ones(loss.size)
    noise = variance_of_mean(own_part, equal, sample.blocks, block_spread(own_part, sample.blocks))
    half = np.sqrt(sample.weights)
    unsure = correction - float(half @ part.residuals / half.sum())
    left_out = max(1.0 / sample.rows - 1.0 / sample.all_rows, 0.0) * float(part.rows @ part.rows) / sample.rows
    usual = block_spread(loss, sample.blocks)
    return Increase(
        value=_rounded(found.value - mean),
        deviation=_rounded(math.sqrt(noise + unsure**2 + left_out)),
        usual=_rounded(math.sqrt(usual.variance)),
        blocks=usual.blocks,
    )


def _evidence(asked: _Question, name: str, part: Part | None, sample: Sample) -> Evidence:
    base = _blank(asked, name, sample.rows)
    if part is None:
        return msgspec.structs.replace(base, note=f"{name} is not defined: less than one row of some class is expected")
    value, lower, upper = (_rounded(end) for end in intervals.interval(name, intervals.moments(part, sample)))
    return msgspec.structs.replace(base, value=value, lower=lower, upper=upper, alpha=ALPHA, note=asked.notes)


def _blank(asked: _Question, name: str, n: int) -> Evidence:
    reference = asked.known.reference
    return Evidence(
        name=name,
        value=None,
        n=n,
        since=asked.window.start,
        until=asked.window.end,
        method="estimated without labels: doubly robust, weighted by the density ratio (PAPE, DLE: arXiv 2401.08348); "
        f"interval for the metric that the window's labels will give{metrics.of_answers(name, reference.task, reference.threshold)}",
        inputs=asked.digest,
    )


def _void(asked: _Question, why: str, ratio: Ratio | None) -> Estimates:
    names = parts.REGRESSION if asked.known.reference.task == "regression" else parts.CLASSIFICATION
    n = len(asked.now.scores)
    return Estimates(
        window=asked.window.id,
        metrics={name: msgspec.structs.replace(_blank(asked, name, n), note=f"void: {why}") for name in names},
        increase=None,
        void=why,
        rows=n,
        effective=None if ratio is None else _rounded(ratio.effective),
        outside=None if ratio is None else _rounded(ratio.outside),
        words=f"performance without labels is void: {why}",
    )


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")
