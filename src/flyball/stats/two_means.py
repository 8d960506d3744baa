"""The difference between two arms' means, each row answered by one of them, at all looks together.

Rows come in blocks (a minute, an hour): within a block both arms saw the same world, between blocks the world and the arms' shares may change, so
arms are compared within blocks only and Simpson's paradox has no way in. Estimand: Σ hᵢdᵢ / Σ hᵢ, where dᵢ is the second arm's mean less the first's in
block i, of means conditional on all that came before each row, and hᵢ = aᵢbᵢ/(aᵢ + bᵢ) for aᵢ and bᵢ rows: the weights of Cochran (1954) and of Mantel &
Haenszel, by which a canary of 5 % loses nothing that it could know. Assumed: rows lie in the stated range, and the sizes of a block do not depend on its outcomes.
Nothing of the dependence between rows.

The supermartingale of `sequences.py` over both arms' rows, each with its own predictable centre c: with slopes λb/(a + b) for a row of the first arm
and λa/(a + b) for one of the second,

    Π (1 − λb/(a+b) · (x − c)) · Π (1 + λa/(a+b) · (x − c))

in a block is worth at most exp(λh(d − the difference of centres)) in expectation. For outcomes of 0 or 1 this is the safe 2×2 test of Turner, Ly & Grünwald
(Statistics & Probability Letters, 2024) in each block, tangent to the composite null at the rates seen so far, with a mixture over the effect instead
of a learned alternative: the slopes are then the log-likelihood ratio of a pair of rates against its projection onto {p₂ − p₁ = m}.
"""

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import COUNTS, REACH, check_alpha, least_gap, least_sum, log_sum
from flyball.stats.sequences import Interval, capital, checked_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIRST_GUESSES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
"""Rates that a block of counts is centred on before any came. They are one row's worth: all agree after the first block, and cost nothing then."""


def mean_difference(
    values: npt.ArrayLike, second: npt.ArrayLike, blocks: npt.ArrayLike, alpha: float, lower: float, upper: float
) -> Interval:
    """The second arm's mean less the first's. O(n). No block with both: 0 and the whole range.

    `values`: (n,) in [lower, upper], in the order in which they became known; `second`: (n,) True for the second arm; `blocks`: (n,) ascending names of
    blocks that are over. One without rows of both arms is joined to the next; at the end it waits, uncounted. `n` of the answer: rows that counted.

    >>> x, second, block = np.tile([0.2, 0.6, 0.4, 0.6], 200), np.tile([False, True], 400), np.repeat(np.arange(80), 10)
    >>> interval = mean_difference(x, second, block, 0.05, 0.0, 1.0)
    >>> interval.lower > 0.2, round(interval.mean, 3), interval.upper < 0.4
    (True, 0.3, True)
    """
    rows, arm, named = checked_rows(values, alpha, lower, upper), np.asarray(second, dtype=bool), np.asarray(blocks)
    if not arm.shape == named.shape == rows.shape:
        raise ValueError(f"an arm and a block for each value: {rows.shape} values, {arm.shape} arms, {named.shape} blocks")
    place, sizes = complete_blocks(arm, named)
    rows, arm, place = rows[place >= 0], arm[place >= 0], place[place >= 0]
    if rows.size == 0:
        return Interval(0.0, lower - upper, upper - lower, 0)
    other_share = np.where(arm, sizes[place, 0], sizes[place, 1]) / sizes.sum(axis=1)[place]
    weight = float(np.sum(sizes[:, 0] * sizes[:, 1] / sizes.sum(axis=1)))
    slope = np.where(arm, other_share, -other_share)
    width = upper - lower
    low = width * least_sum(_row_capital(rows, slope, lower, upper), COUNTS, np.log(2.0 / alpha))[0] / weight
    high = -width * least_sum(_row_capital(-rows, slope, -upper, -lower), COUNTS, np.log(2.0 / alpha))[0] / weight
    return Interval(float(slope @ rows) / weight, max(float(low), -width), min(float(high), width), int(rows.size))


def difference_of_averages(first: npt.ArrayLike, second: npt.ArrayLike, alpha: float, lower: float, upper: float) -> Interval:
    """As `mean_difference` where no blocks are known: the second arm's running average of conditional means less the first's, each over its own rows, so
    that arms whose shares change while the world does are compared unfairly. `n` of the answer is the smaller one.

    >>> interval = difference_of_averages(np.tile([0.2, 0.4], 200), np.tile([0.6, 0.8], 100), 0.05, 0.0, 1.0)
    >>> interval.lower > 0.3, round(interval.mean, 3), interval.upper < 0.5
    (True, 0.4, True)
    """
    a, b = checked_rows(first, alpha, lower, upper), checked_rows(second, alpha, lower, upper)
    width, n = upper - lower, min(a.size, b.size)
    if n == 0:
        return Interval(0.0, -width, width, 0)
    low = _least_difference(a, b, (lower, upper), alpha / 2.0)
    high = -_least_difference(-a, -b, (-upper, -lower), alpha / 2.0)
    return Interval(float(b.mean() - a.mean()), max(low, -width), min(high, width), n)


def _least_difference(a: Floats, b: Floats, between: tuple[float, float], alpha: float) -> float:
    lower, upper = between
    below, above = capital(-a, -upper, -lower, COUNTS)[0], capital(b, lower, upper, COUNTS)
    width, steps = upper - lower, COUNTS.rates / (upper - lower)
    return least_gap(
        lambda means: log_sum(below + a.size * means[:, None] * steps + COUNTS.log_weights),
        lambda log_capital: width * least_sum(above, COUNTS, log_capital) / b.size,
        between,
        float(np.log(1.0 / alpha)),
    )


def rate_difference_in_blocks(blocks: npt.ArrayLike, alpha: float) -> Interval:
    """As `mean_difference` for outcomes of 0 or 1, from counts. O(blocks).

    `blocks`: (m, 4) of rows of the first arm, of which 1, rows of the second, of which 1; blocks in order, all over.

    >>> interval = rate_difference_in_blocks([[950, 48, 50, 9]] * 20, 0.05)
    >>> interval.lower > 0.05, round(interval.mean, 2), interval.upper < 0.21
    (True, 0.13, True)
    """
    check_alpha(alpha)
    table = np.asarray(blocks, dtype=np.int64).reshape(-1, 4)
    if np.any(table < 0) or np.any(table[:, 1::2] > table[:, ::2]):
        raise ValueError("blocks of (rows, of which 1) for each arm, each count between 0 and its rows")
    owner, _ = _joined(table[:, ::2])
    joined = np.zeros((int(owner.max(initial=-1)) + 1, 4))
    np.add.at(joined, owner[owner >= 0], table[owner >= 0])
    if joined.shape[0] == 0:
        return Interval(0.0, -1.0, 1.0, 0)
    weights = joined[:, 0] * joined[:, 2] / (joined[:, 0] + joined[:, 2])
    total = float(weights.sum())
    mean = float(weights @ (joined[:, 3] / joined[:, 2] - joined[:, 1] / joined[:, 0])) / total
    low = least_sum(_count_capital(joined), COUNTS, np.log(2.0 / alpha))[0] / total
    high = -least_sum(_count_capital(joined[:, [2, 3, 0, 1]]), COUNTS, np.log(2.0 / alpha))[0] / total
    return Interval(mean, max(float(low), -1.0), min(float(high), 1.0), int(joined[:, ::2].sum()))


def complete_blocks(second: npt.ArrayLike, blocks: npt.ArrayLike) -> tuple[Ints, Ints]:
    """Which complete block each row belongs to (n,), −1 for rows that wait, and the rows of each arm in each, (m, 2). A block without rows of both arms is
    joined to the next. Raises ValueError when blocks do not ascend.

    >>> complete_blocks([False, False, True, False], [0, 1, 1, 2])[0].tolist()
    [0, 0, 0, -1]
    """
    arm, named = np.asarray(second, dtype=bool), np.asarray(blocks)
    if arm.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int64)
    if np.any(named[1:] < named[:-1]):
        raise ValueError("blocks in ascending order, as they came")
    starts = np.flatnonzero(np.append(True, named[1:] != named[:-1]))
    owner, sizes = _joined(
        np.stack([np.add.reduceat(~arm, starts, dtype=np.int64), np.add.reduceat(arm, starts, dtype=np.int64)], 1)
    )
    return np.repeat(owner, np.diff(np.append(starts, arm.size))), sizes


def _joined(sizes: Ints) -> tuple[Ints, Ints]:
    """Which complete block each block goes into (−1: one that waits), and the sizes (m, 2) of those. It looks at sizes only, so the bets stay predictable."""
    complete: list[Ints] = []
    owner, begun, open_ = np.full(len(sizes), -1, dtype=np.int64), 0, np.zeros(2, dtype=np.int64)
    for i, pair in enumerate(sizes):
        open_ = open_ + pair
        if open_.min() > 0:
            owner[begun : i + 1] = len(complete)
            complete.append(open_)
            begun, open_ = i + 1, np.zeros(2, dtype=np.int64)
    return owner, np.asarray(complete, dtype=np.int64).reshape(-1, 2)


def _row_capital(rows: Floats, slope: Floats, lower: float, upper: float) -> Floats:
    """(1, rates): Σ log(1 + s(x − c)) + Σ sc, centred on the mean of the arm's earlier rows, held where no single row can take more than REACH."""
    out = np.empty((1, COUNTS.rates.size))
    centre = np.empty_like(rows)
    for arm in (slope > 0.0, slope < 0.0):
        before = np.append(0.0, np.cumsum(rows[arm])[:-1]) + (lower + upper) / 2.0
        centre[arm] = before / np.arange(1, before.size + 1)
    for k, rate in enumerate(COUNTS.rates / (upper - lower)):
        s = rate * slope
        room = REACH / np.abs(s)
        held = np.where(s > 0.0, np.minimum(centre, lower + room), np.maximum(centre, upper - room))
        out[0, k] = np.sum(np.log1p(s * (rows - held)) + s * held)
    return out


def _count_capital(blocks: Floats) -> Floats:
    """(1, rates), as `_row_capital` for `blocks` (m, 4), centred on the rates of the blocks before, and mixed over what is guessed before the first."""
    a, ones_a, b, ones_b = blocks.T[:, :, None]
    slope_a, slope_b = COUNTS.rates * b / (a + b), COUNTS.rates * a / (a + b)
    total: list[Floats] = []
    for guess in _FIRST_GUESSES:
        at_a = np.maximum(_rate_before(a, ones_a, guess), 1.0 - REACH / slope_a)
        at_b = np.minimum(_rate_before(b, ones_b, guess), REACH / slope_b)
        lost = ones_a * np.log1p(-slope_a * (1.0 - at_a)) + (a - ones_a) * np.log1p(slope_a * at_a) - a * slope_a * at_a
        won = ones_b * np.log1p(slope_b * (1.0 - at_b)) + (b - ones_b) * np.log1p(-slope_b * at_b) + b * slope_b * at_b
        total.append((lost + won).sum(axis=0))
    mixed: Floats = log_sum(np.stack(total, axis=1)) - np.log(len(_FIRST_GUESSES))
    return mixed[None, :]


def _rate_before(rows: Floats, ones: Floats, guess: float) -> Floats:
    """Of the blocks before each, with one row's worth of a guess."""
    n, count = np.cumsum(rows, axis=0) - rows, np.cumsum(ones, axis=0) - ones
    rate: Floats = (count + guess) / (n + 1.0)
    return rate
