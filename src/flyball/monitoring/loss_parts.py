"""The parts of a change of the mean loss, with their errors: the arithmetic behind `causes`."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import cause_words, coding
from flyball.stats import additive, association, shapley, transport
from flyball.stats.empty_columns import filled
from flyball.stats.one_thread import one_thread

BLOCKS = 10
FEWEST_ROWS = 200
"""On either side: with fewer no part is told from another."""
CORRELATED = 0.7
"""Features that tell one another so well share their part: how it is divided among them would be arbitrary."""
MOST_TREE_FEATURES = 32
"""Of trees and weights: those that moved most. The cost grows with them; those beyond have their own function."""
TREES, DEPTH = 50, 3
MOST_SLOPE = 1.5
"""Trees are believed beyond what they say by half at most."""
TOGETHER, CONCEPT, OUTSIDE = "features together", "concept", "outside the reference"
UNSPLIT = "like the reference"
"""Of window rows that the reference knows the like of, where they are too few to tell features from concept."""

BROKEN = 0.2
"""Share of a feature's values: with so many outside the reference, those inside are there by chance (a unit change leaves small numbers in its range)."""
LEAST_UNKNOWN = 0.01
"""Share of rows: fewer of unknown cost are not worth telling."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows in order of time."""

    columns: Mapping[str, Any]
    """Feature → (n_rows,): numbers with NaN, or categories with ''."""
    losses: Floats | None
    """(n_rows,) in [0, 1]; None: no labels."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the change."""

    subject: str
    value: float
    """In units of the loss."""
    error: float | None
    """Standard error, on 9 degrees of freedom; None: not known."""
    words: str


class Side(NamedTuple):
    """Rows in both forms."""

    codes: Ints
    """(n_rows, n_features) levels."""
    table: Floats
    """(n_rows, n_features) for trees."""
    weights: Floats
    """(n_rows, Σ n_weights) for the sum of one function per feature."""
    losses: Floats | None
    block: Ints
    """(n_rows,) which of BLOCKS stretches of consecutive rows each belongs to."""


class Sample(NamedTuple):
    levels: tuple[coding.Levels, ...]
    base: Side
    losses: Floats
    """Of the base."""
    now: Side
    """Window rows that the reference knows the like of."""
    known: Bools
    """(n_window_rows,) which those are."""
    unknown_losses: Floats | None
    """Of the others."""
    unknown_by_feature: Floats
    """(n_features,) share of window rows whose value the reference knows nothing like."""


class Split(NamedTuple):
    parts: tuple[Part, ...]
    """Sum to `value`."""
    value: float
    error: float | None
    """None: nothing is known of `value`."""
    note: str


def split(base: Rows, base_losses: Floats, now: Rows, seed: str) -> Split:
    """All parts of the change from `base` to `now`; of what the features' move brings where `now` has no losses."""
    sample = _sample(base, base_losses, now)
    with one_thread():
        parts, error, note = _parts(sample, seed)
    if now.losses is not None:
        error = math.hypot(_error(now.losses, _blocks(now.losses.size)), _error(base_losses, sample.base.block))
    return Split(tuple(parts), sum(part.value for part in parts), error, note)


def _sample(base: Rows, base_losses: Floats, now: Rows) -> Sample:
    levels = coding.levels_of(base.columns)
    codes, new = coding.codes(levels, base.columns), coding.codes(levels, now.columns)
    known = np.asarray((new >= 0).all(axis=1), dtype=np.bool_)
    inside = None if now.losses is None else now.losses[known]
    table, new_table = coding.table(levels, base.columns, codes), coding.table(levels, now.columns, new)[known]
    new_weights = coding.weights(levels, new_table, new[known])
    return Sample(
        levels=levels,
        base=Side(codes, table, coding.weights(levels, table, codes), base_losses, _blocks(len(codes))),
        losses=base_losses,
        now=Side(new[known], new_table, new_weights, inside, _blocks(int(known.sum()))),
        known=known,
        unknown_losses=None if now.losses is None else now.losses[~known],
        unknown_by_feature=(new < 0).mean(axis=0),
    )


def _blocks(n: int) -> Ints:
    return np.arange(n, dtype=np.int64) * BLOCKS // max(n, 1)


def _parts(sample: Sample, seed: str) -> tuple[list[Part], float | None, str]:
    """The parts, the error of what the features' move brings (None: that is not known), and what to know about them."""
    outside, n = _outside(sample), len(sample.now.codes)
    if n < FEWEST_ROWS:
        return _unsplit(sample) + outside, None, f"only {n} window rows are like any of the reference: their loss cannot be split"
    groups = association.blocks(association.maximal_correlation(sample.base.codes, _counts(sample)), CORRELATED)
    trees = _trees(sample)
    features = _features(sample, groups, trees, seed)
    ratio = transport.density_ratio(
        sample.base.table[:, trees.columns], sample.now.table[:, trees.columns], sample.base.block, sample.now.block
    )
    fitted_base, fitted = _fitted(sample, trees)
    moved = transport.transported_mean(sample.losses - fitted_base, ratio, fitted)
    q, before = float(sample.known.mean()), float(sample.losses.mean())
    remainder = moved.mean - before - sum(part.value for part in features)
    parts = [
        Part(subject=part.subject, value=q * part.value, error=q * error, words=part.words)
        for part, error in zip(features, _errors(features, remainder), strict=True)
    ]
    weights_error = _error(moved.at_base, sample.base.block)
    together = Part(
        subject=TOGETHER,
        value=q * remainder,
        error=q * weights_error,
        words="what no feature did alone, or could not be told apart",
    )
    found = [*parts, together, *outside]
    if sample.now.losses is not None:
        error = math.hypot(_error(sample.now.losses - moved.at_changed, sample.now.block), weights_error)
        value = float(sample.now.losses.mean()) - moved.mean
        found.append(
            Part(
                subject=CONCEPT, value=q * value, error=q * error, words="rows like the reference's have another loss than there"
            )
        )
    error = q * math.hypot(_error(moved.at_changed, sample.now.block), _error(moved.at_base - sample.losses, sample.base.block))
    return found, error, _note(sample, transport.effective_rows(ratio))


def _note(sample: Sample, rows: float) -> str:
    most = int(np.argmax(sample.unknown_by_feature))
    told = []
    if sample.unknown_by_feature[most] >= BROKEN:
        share = cause_words.percent(float(sample.unknown_by_feature[most]))
        told.append(
            f"{sample.levels[most].name} looks broken ({share} of its values are like none of the reference): concept may be its doing"
        )
    if rows < FEWEST_ROWS:
        told.append(f"few reference rows are like the window's (they count as {rows:.0f}): shares are uncertain")
    return "; ".join(told)


def _outside(sample: Sample) -> list[Part]:
    share = 1.0 - float(sample.known.mean())
    if share < (0.0 if sample.unknown_losses is not None else LEAST_UNKNOWN) or share == 0.0:
        return []
    most = int(np.argmax(sample.unknown_by_feature))
    by = f"{sample.levels[most].name} ({cause_words.percent(float(sample.unknown_by_feature[most]))})"
    words = f"{cause_words.percent(share)} of rows have values that the reference does not know, most by {by}"
    if sample.unknown_losses is None:
        return [Part(subject=OUTSIDE, value=0.0, error=None, words=f"{words}: what they cost is not known without labels")]
    return [_whole(sample, OUTSIDE, sample.unknown_losses, words)]


def _unsplit(sample: Sample) -> list[Part]:
    losses = sample.now.losses
    if losses is None or losses.size == 0:
        return []
    words = f"{losses.size} rows are like the reference's: too few to tell moved features from another loss of such rows"
    return [_whole(sample, UNSPLIT, losses, words)]


def _whole(sample: Sample, subject: str, losses: Floats, words: str) -> Part:
    """What some window rows bring of the change, all in one: their share times how far their mean lies from the reference's."""
    share = losses.size / sample.known.size
    spread = max(float(losses.std()), float(sample.losses.std()))  # one row alone has none
    error = share * math.hypot(spread / math.sqrt(losses.size), _error(sample.losses, sample.base.block))
    return Part(subject=subject, value=share * (float(losses.mean()) - float(sample.losses.mean())), error=error, words=words)


class Trees(NamedTuple):
    """What the sum of one function per feature leaves: one model per block left out, and how far they are believed."""

    models: tuple[Any, ...]
    columns: Ints
    """Places of the features that they use."""
    slope: float
    """Of left-out residuals on their predictions: 0 when trees found noise only, above 1 when they shrank what there is."""
    fitted: Floats
    """(n_base,) steps and trees together, of those that have not seen the row."""


def _trees(sample: Sample) -> Trees:
    from sklearn.ensemble import HistGradientBoostingRegressor

    columns, base = _busiest(sample), sample.base
    models, steps, left_out = [], np.empty(sample.losses.size), np.empty(sample.losses.size)
    for block in range(BLOCKS):
        rest = base.block != block
        fitted = _steps(sample, base.weights, rest)
        model = HistGradientBoostingRegressor(max_iter=TREES, max_depth=DEPTH, min_samples_leaf=40, early_stopping=False)
        models.append(model.fit(filled(base.table[rest][:, columns]), sample.losses[rest] - fitted[rest]))
        steps[~rest] = fitted[~rest]
        left_out[~rest] = model.predict(base.table[~rest][:, columns])
    variance = float(np.var(left_out))
    slope = float(np.cov(sample.losses - steps, left_out, ddof=0)[0, 1]) / variance if variance > 0 else 0.0
    slope = min(max(slope, 0.0), MOST_SLOPE)
    return Trees(tuple(models), columns, slope, steps + slope * left_out)


def _counts(sample: Sample) -> list[int]:
    return [each.n for each in sample.levels]


def _sizes(sample: Sample) -> list[int]:
    return [each.n_weights for each in sample.levels]


def _steps(sample: Sample, weights: Floats, rows: Bools) -> Floats:
    """The sum of lines and steps fitted on some reference rows, at `weights`."""
    components = additive.fit(sample.base.weights[rows], _sizes(sample), sample.losses[rows])
    summed: Floats = additive.contributions(components, weights).sum(axis=1)
    return float(sample.losses[rows].mean()) + summed


def _busiest(sample: Sample) -> Ints:
    """The features that trees look at: those that moved most between levels."""
    if len(sample.levels) <= MOST_TREE_FEATURES:
        return np.arange(len(sample.levels), dtype=np.int64)
    moved = [
        np.abs(_shares(sample.base.codes[:, j], each.n) - _shares(sample.now.codes[:, j], each.n)).sum()
        for j, each in enumerate(sample.levels)
    ]
    return np.sort(np.argsort(-np.asarray(moved), kind="stable")[:MOST_TREE_FEATURES])


def _shares(codes: Ints, n: int) -> Floats:
    return np.asarray(np.bincount(codes, minlength=n) / codes.size, dtype=np.float64)


def _fitted(sample: Sample, trees: Trees) -> tuple[Floats, Floats]:
    """The fitted loss of reference rows, each by what has not seen it, and of window rows."""
    boosted = np.mean([model.predict(sample.now.table[:, trees.columns]) for model in trees.models], axis=0)
    return trees.fitted, _steps(sample, sample.now.weights, np.ones(sample.losses.size, dtype=np.bool_)) + trees.slope * boosted


class _Feature(NamedTuple):
    subject: str
    value: float
    error: float
    words: str


def _errors(features: Sequence[_Feature], remainder: float) -> list[float]:
    """With what fits have shrunk away, which shows in the remainder and in no replicate: each feature's share of it, as large as its part. Without it intervals of
    a feature that moved by a standard deviation held the truth in 87 %."""
    whole = sum(abs(part.value) for part in features) or 1.0
    return [math.hypot(part.error, abs(part.value) / whole * remainder) for part in features]


def _features(sample: Sample, groups: Sequence[Sequence[int]], trees: Trees, seed: str) -> list[_Feature]:
    """The part of each block of features; in words, of the one in it that brought most."""
    base, now = sample.base, sample.now

    def steps(of_base: Bools, of_now: Bools) -> Floats:
        components = additive.fit(base.weights[of_base], _sizes(sample), sample.losses[of_base])
        return np.asarray(additive.contributions(components, now.weights[of_now]).mean(axis=0), dtype=np.float64)

    alone = steps(base.block >= 0, now.block >= 0)
    replicates = np.array([steps(base.block != block, now.block != block) for block in range(BLOCKS)])
    boosted = trees.slope * _boosted(sample, groups, trees, seed)
    found = []
    for place, group in enumerate(groups):
        members, lead = list(group), max(group, key=lambda j: abs(alone[j]))
        left_out = replicates[:, members].sum(axis=1) + boosted[:, place]
        error = math.sqrt((BLOCKS - 1) / BLOCKS * float(np.sum((left_out - left_out.mean()) ** 2)))
        value = float(alone[members].sum() + boosted[:, place].mean())
        partners = (
            trees.columns.tolist() if abs(value) > error else []
        )  # of a part that may be told: all pairs of 128 features take seconds
        words = cause_words.moved(sample.levels, lead, (base.codes, now.codes), partners)
        name = ", ".join(sample.levels[j].name for j in members)
        told = words if len(members) == 1 else f"{sample.levels[lead].name}: {words}"
        found.append(_Feature(name, value, error, told))
    return found


def _boosted(sample: Sample, groups: Sequence[Sequence[int]], trees: Trees, seed: str) -> Floats:
    """Each block of features' part in what each of the trees says, on pairs of the rows that its stretch is not of; (BLOCKS, n_groups)."""
    found = np.zeros((BLOCKS, len(groups)))
    if trees.slope == 0.0:
        return found
    place = {int(column): k for k, column in enumerate(trees.columns)}
    used = [(g, [place[j] for j in group if j in place]) for g, group in enumerate(groups) if any(j in place for j in group)]
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[:8], "big"))
    for block, model in enumerate(trees.models):
        start = generator.permutation(np.flatnonzero(sample.base.block != block))
        end = generator.permutation(np.flatnonzero(sample.now.block != block))
        n = max(start.size, end.size)
        pairs = shapley.paired_shapley(
            model.predict,
            sample.base.table[np.resize(start, n)][:, trees.columns],
            sample.now.table[np.resize(end, n)][:, trees.columns],
            [columns for _, columns in used],
            generator,
        )
        found[block, [g for g, _ in used]] = pairs.mean(axis=0)
    return found


def _error(values: Floats, block: Ints) -> float:
    """Standard error of the mean, from the sums over BLOCKS stretches."""
    sums = np.bincount(block, weights=values - values.mean(), minlength=BLOCKS)
    return math.sqrt(BLOCKS / (BLOCKS - 1) * float(np.sum(sums**2))) / values.size
