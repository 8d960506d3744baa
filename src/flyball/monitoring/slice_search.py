"""In which slices did the loss rise? Found on one half of the rows, confirmed on the other.

Searching a thousand slices finds some that look bad in any data. So the windows are divided: one of each two is searched, and the few slices that look worst
there are tested on the rest, which took no part in choosing them. Holm's procedure over these few keeps the chance to name any slice in which the loss did
not rise, or not more than elsewhere, at `alpha` (Cox 1975 on data splitting; Holm 1979); where it rose everywhere alike nothing is named.
The figures that are told come from the second half: those of the first are flattered by having been chosen. Units of noise are windows where the second half
has at least LEAST_BLOCKS, otherwise rows, and it is said which. The holdout's noise is part of it.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks
from flyball.monitoring.cause_words import percent
from flyball.monitoring.slices import (
    Condition,
    SliceReference,
    SliceRows,
    chosen,
    conditions_of,
    part,
    rows_of,
    words_of,
)
from flyball.records.findings import Cause
from flyball.stats import student

Bools = NDArray[np.bool_]

LEAST_ROWS = 20
"""Of a slice: in the searched half, in the confirming half and in the holdout."""
LEAST_BLOCKS = 6
"""Windows of the confirming half from which on they, and not rows, are the units."""
CANDIDATES = 6
BEAM = 12
"""Single conditions that are joined with all others."""
SIMPLER = 0.85
"""A second condition has to leave less than this share of the harm's lower bound to the single one: the simpler words are better."""


class Found(NamedTuple):
    """A slice in which the loss rose."""

    conditions: tuple[Condition, ...]
    words: str
    loss: float
    reference_loss: float
    share_of_rows: float
    share_of_increase: float | None
    """Of the whole increase of the loss; above 1 where it fell elsewhere. None: there is none in all."""
    p: float
    """Holm-adjusted."""
    n: int
    """Rows of the slice that these figures rest on."""
    unit: str


class Rise(NamedTuple):
    """Mean loss of some rows less that of the same rows of the holdout."""

    mean: float
    variance: float
    degrees: int
    n: int
    before: float
    unit: str


def find(
    reference: SliceReference, rows: SliceRows, alpha: float, declared: Sequence[tuple[Condition, ...]] = ()
) -> tuple[Found, ...]:
    """Slices in which the loss rose, largest share of the increase first; chance to name a wrong one at most `alpha`.

    `declared`: slices that the user named beforehand. They need no search: with them, half of `alpha` is theirs, and all rows speak for them.
    Raises DataError when rows and reference do not have the same features.
    """
    if rows.codes.ndim != 2 or rows.codes.shape[1] != len(reference.features):
        raise DataError(
            f"codes of shape {rows.codes.shape}", expected=f"(n_rows, {len(reference.features)}), as `slices.codes_of` makes them"
        )
    holdout = rows_of(reference)
    searched = _searched(rows)
    first, second = part(rows, searched), part(rows, ~searched)
    candidates = _candidates(reference, holdout, first)
    share = alpha / 2.0 if declared and candidates else alpha
    found = _confirmed(reference, holdout, second, candidates, share) + _confirmed(
        reference, holdout, rows, tuple(declared), share
    )
    distinct = {item.conditions: item for item in found}
    return _ranked(tuple(distinct.values()))


def confirm(
    reference: SliceReference, rows: SliceRows, alpha: float, declared: Sequence[tuple[Condition, ...]]
) -> tuple[Found, ...]:
    """As `find`, of declared slices alone: all rows speak for them."""
    return _ranked(_confirmed(reference, rows_of(reference), rows, tuple(declared), alpha))


def _ranked(found: Sequence[Found]) -> tuple[Found, ...]:
    return tuple(sorted(found, key=lambda item: -(item.share_of_increase or 0.0)))


def causes_of(found: Sequence[Found]) -> tuple[Cause, ...]:
    """As a finding carries them. Slices may overlap: their shares do not add up."""
    return tuple(
        Cause(
            subject=item.words,
            share=None if item.share_of_increase is None else round(item.share_of_increase, 4),
            words=told(item),
        )
        for item in found
    )


def told(found: Found) -> str:
    """As `town = 'Oslo': loss 0.310 against 0.120 on the holdout, 7 % of rows, 48 % of the increase`."""
    share = found.share_of_increase
    part = "" if share is None else f", {100 * share:.0f} % of the increase" if share <= 1.0 else ", more than the whole increase"
    return (
        f"{found.words}: loss {found.loss:.3f} against {found.reference_loss:.3f} on the holdout, "
        f"{percent(found.share_of_rows)} of rows{part}"
    )


def _searched(rows: SliceRows) -> Bools:
    """One of each two windows, by turns that follow no period: every other one of half days would be the nights. Rows by a digest where there are fewer than four."""
    numbers = np.unique(rows.blocks)
    if numbers.size >= 4:
        return np.isin(rows.blocks, numbers[blocks.sampled(numbers.size, 2)])
    seed = int.from_bytes(hashlib.sha256(rows.codes.tobytes() + rows.losses.tobytes()).digest()[:8], "big")
    return np.random.default_rng(seed).random(len(rows.losses)) < 0.5


def _candidates(reference: SliceReference, holdout: SliceRows, rows: SliceRows) -> tuple[tuple[Condition, ...], ...]:
    """The worst slice, then the worst among the rows outside it, and so on."""
    left, left_before, kept = rows, holdout, []
    for _ in range(CANDIDATES):
        best = worst(reference, left_before, left)
        if best is None or best in kept:
            break
        kept.append(best)
        left = part(left, ~chosen(best, left.codes))
        left_before = part(left_before, ~chosen(best, left_before.codes))
    return tuple(kept)


class _Grid(NamedTuple):
    """Every condition on one feature, feature after feature, with the bins from which to which it goes. (n_conditions,)"""

    conditions: list[Condition]
    feature: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    bins: int
    """Room for each feature's bins."""


class _Cells(NamedTuple):
    """Rows as they are counted: of all features at once."""

    numbers: NDArray[np.intp]
    """(n_rows, n_features) of each row's bin, features one behind the other."""
    losses: NDArray[np.float64]

    def part(self, inside: Bools) -> "_Cells":
        return _Cells(self.numbers[inside], self.losses[inside])


def _grid(reference: SliceReference, sides: Sequence[SliceRows]) -> _Grid:
    """Made once for all searches of a window."""
    conditions = [each for place, feature in enumerate(reference.features) for each in conditions_of(feature, place)]
    feature, low, high = (
        np.array(of, dtype=np.intp) for of in zip(*((each.feature, each.low, each.high) for each in conditions), strict=True)
    )
    most = max(int(high.max()), *(int(side.codes.max(initial=0)) for side in sides))
    return _Grid(conditions, feature, low, high, most + 1)


def _cells(grid: _Grid, rows: SliceRows) -> _Cells:
    return _Cells(rows.codes + grid.bins * np.arange(rows.codes.shape[1]), rows.losses)


def worst(reference: SliceReference, holdout: SliceRows, rows: SliceRows) -> tuple[Condition, ...] | None:
    """By the lower bound of the harm beyond what all rows bring: rows × (rise − rise of all − 2 errors). By its harm alone the broadest slice would be the worst."""
    if min(len(rows.losses), len(holdout.losses)) < 2 * LEAST_ROWS or not reference.features:
        return None
    everywhere = float(rows.losses.mean() - holdout.losses.mean())
    grid = _grid(reference, (holdout, rows))
    now, then = _cells(grid, rows), _cells(grid, holdout)
    singles = _scored(grid, then, now, everywhere)
    if not singles:
        return None
    best: tuple[Condition, ...] = (max(singles, key=singles.__getitem__),)
    most = singles[best[0]]
    for condition in _beam(singles, rows):
        inside, inside_before = chosen((condition,), rows.codes), chosen((condition,), holdout.codes)
        joined = _scored(grid, then.part(inside_before), now.part(inside), everywhere)
        for other, harm in joined.items():
            if other.feature != condition.feature and harm * (SIMPLER if len(best) == 1 else 1.0) > most:
                best, most = tuple(sorted((condition, other))), harm
    return best if most > 0.0 else None


def _beam(singles: dict[Condition, float], rows: SliceRows) -> list[Condition]:
    """Conditions that hold much harm, or much of it per row: a second condition may make either one clear."""

    def per_row(condition: Condition) -> float:
        return singles[condition] / math.sqrt(1.0 + float(chosen((condition,), rows.codes).sum()))

    by_harm = sorted(singles, key=singles.__getitem__, reverse=True)[: BEAM // 2]
    by_row = sorted(singles, key=per_row, reverse=True)[:BEAM]
    return list(dict.fromkeys(by_harm + by_row))[:BEAM]


def _scored(grid: _Grid, holdout: _Cells, rows: _Cells, everywhere: float) -> dict[Condition, float]:
    """Lower bound of the harm beyond `everywhere` of each single condition that has enough rows, from counts and sums per bin."""
    n, total, squares = _sums(grid, rows)
    m, before, squares_before = _sums(grid, holdout)
    enough = (np.minimum(n, m) >= LEAST_ROWS) & (n < len(rows.losses))
    n, m = np.maximum(n, 1.0), np.maximum(m, 1.0)
    variance = (squares / n - (total / n) ** 2) / n + (squares_before / m - (before / m) ** 2) / m
    harm = n * (total / n - before / m - everywhere - 2.0 * np.sqrt(np.maximum(variance, 0.0)))
    return {grid.conditions[k]: float(harm[k]) for k in np.flatnonzero(enough)}


def _sums(grid: _Grid, cells: _Cells) -> NDArray[np.float64]:
    """Rows, losses and squared losses of every condition, (3, n_conditions). Bins of all features are counted in one call: a slice has few rows, and a call
    for each feature would cost more than they do."""
    n, features = cells.numbers.shape
    numbers, size = cells.numbers.ravel(), features * grid.bins
    weights = (None, *(np.broadcast_to(of[:, None], (n, features)).ravel() for of in (cells.losses, cells.losses**2)))
    weighted = [np.bincount(numbers, weights=each, minlength=size).reshape(features, grid.bins) for each in weights]
    sums = np.concatenate([np.zeros((3, features, 1)), np.cumsum(weighted, axis=2)], axis=2)
    return np.asarray(sums[:, grid.feature, grid.high + 1] - sums[:, grid.feature, grid.low])


def _confirmed(
    reference: SliceReference, holdout: SliceRows, rows: SliceRows, candidates: tuple[tuple[Condition, ...], ...], alpha: float
) -> tuple[Found, ...]:
    measured = [(conditions, _inside_and_out(holdout, rows, conditions)) for conditions in candidates]
    tested = [(conditions, pair[0], _p_value(*pair)) for conditions, pair in measured if pair is not None]
    whole = float(rows.losses.sum() - holdout.losses.mean() * rows.losses.size) if rows.losses.size else 0.0
    found, adjusted = [], 0.0
    for rank, (conditions, rise, p) in enumerate(sorted(tested, key=lambda item: item[2])):
        adjusted = max(adjusted, min(1.0, p * (len(tested) - rank)))
        if adjusted > alpha:
            break
        words = words_of(reference.features, conditions)
        share = rise.mean * rise.n / whole if whole > 0.0 else None
        rows_share = rise.n / rows.losses.size
        found.append(
            Found(conditions, words, rise.before + rise.mean, rise.before, rows_share, share, adjusted, rise.n, rise.unit)
        )
    return tuple(found)


def _inside_and_out(holdout: SliceRows, rows: SliceRows, conditions: tuple[Condition, ...]) -> tuple[Rise, Rise | None] | None:
    """None: the slice has too few rows to say anything. The second is None where it has nearly all of them."""
    inside, inside_before = chosen(conditions, rows.codes), chosen(conditions, holdout.codes)
    rise = _rise(part(holdout, inside_before), part(rows, inside))
    return None if rise is None else (rise, _rise(part(holdout, ~inside_before), part(rows, ~inside)))


def _rise(old: SliceRows, new: SliceRows) -> Rise | None:
    if min(len(new.losses), len(old.losses)) < LEAST_ROWS:
        return None
    (variance, degrees, unit), (variance_before, degrees_before, _) = _variance(new), _variance(old)
    before = float(old.losses.mean())
    mean = float(new.losses.mean()) - before
    return Rise(mean, variance + variance_before, min(degrees, degrees_before), len(new.losses), before, unit)


def _variance(rows: SliceRows) -> tuple[float, int, str]:
    """Of the mean loss, its degrees of freedom and its units: windows (linearised ratio) where there are enough, else rows. Never below the rows' own."""
    n, centred = len(rows.losses), rows.losses - rows.losses.mean()
    of_rows = max(
        float(centred @ centred) / (n - 1) / n, 1.0 / (12.0 * n * n)
    )  # equal losses are not known beyond their neighbours
    numbers, place = np.unique(rows.blocks, return_inverse=True)
    if numbers.size < LEAST_BLOCKS:
        return of_rows, n - 1, "rows"
    sums = np.bincount(place, weights=centred)
    between = float(sums @ sums) * numbers.size / (numbers.size - 1) / n**2
    return max(between, of_rows), numbers.size - 1, "windows"


def _p_value(inside: Rise, outside: Rise | None) -> float:
    """That the loss did not rise in the slice, or not more than elsewhere: the larger one, as both have to be refuted."""
    p = _tail(inside.mean, inside.variance, inside.degrees)
    if outside is None:
        return p
    more = inside.mean - outside.mean
    return max(p, _tail(more, inside.variance + outside.variance, min(inside.degrees, outside.degrees)))


def _tail(mean: float, variance: float, degrees: int) -> float:
    """Beyond a thousand degrees Student's t is the normal law."""
    return student.t_upper_tail(mean / math.sqrt(variance), min(degrees, 1000))
