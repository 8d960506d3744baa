"""Evidence that two arms' values differ in any way (place, spread, shape), at all looks together and without a scale, by betting on which arm a row is of.

While an arm changes nothing, the values of a block say nothing of which of its rows are which arm's: every way to hand out the labels is equally likely. A bet
that names a probability for each way wins the ratio of the two (a permutation test as a bet; betting two-sample tests: Shekhar & Ramdas, IEEE Trans.
Information Theory 70, 2024; by classifiers: Pandeva et al., 2024; with labels in blocks: Turner, Ly & Grünwald 2024). The product over blocks is an e-process:
1/α is ever reached with a chance of at most α.

The bet: values fall into bins of equal share by rank, ties together, and each bin has a share of the second arm's rows of its own. What the blocks before showed
is the prior of that share (a Beta law of their worth, by the log odds of the arms' own densities, so that arms may change their sizes), and the ways are
weighed by its Beta-binomial law, conditional on the block's sizes. Four sets of bins at two strengths of the first prior are mixed.

Assumed: given the values of a block, its labels are exchangeable. Rows whose arm is drawn row by row satisfy it, whatever the dependence between their values
and whatever the time of day does; rows drawn by key do when a block holds one row of a key, and not when a busy key brings many rows alike.

Power for alpha 0.05, as share of 30 streams in blocks of 20 rows an arm (in brackets the Kolmogorov–Smirnov test, which may look once), rows an arm:
                                        200           400           800
place: 0.3 standard deviations    0.20 (0.76)   0.57 (0.97)   0.97 (1.00)
spread: half as much again        0.80 (0.55)   1.00 (0.97)   1.00 (1.00)
shape: two peaks, same moments    0.73 (0.63)   0.97 (0.98)   1.00 (1.00)
tail: 5 % of rows far outside     0.17 (0.12)   0.67 (0.20)   1.00 (0.41)
For place alone the sequences of means and quantiles are stronger.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import log_sum
from flyball.stats.two_means import complete_blocks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BINNINGS = (
    (0.5,),
    (0.25, 0.5, 0.75),
    tuple(i / 16.0 for i in range(1, 16)),
    (0.01, 0.03, 0.1, 0.9, 0.97, 0.99),
)
"""Where by share of all rows bins end: for place, spread, shape and tails."""
WORTHS = (0.5, 5.0)
"""Rows of each arm in each bin that count as seen alike before any were: at the one all shares are likely, at the other most are near to what they would be."""
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
REBIN = 2
"""Bins are drawn anew, over all rows so far, when these have grown by so much: seldom, because a bet that learns needs bins that stay."""
MOST_ROWS = 200
"""Of a block that is bet on at once. A larger one is taken in parts, so that its first part teaches the next, and counting the ways stays cheap."""


class Difference(NamedTuple):
    """Natural logarithms of the evidence, so that log(1/α) rejects: now, and at the best look so far, which decides."""

    now: float
    highest: float
    n: int


def two_samples(values: npt.ArrayLike, second: npt.ArrayLike, blocks: npt.ArrayLike) -> Difference:
    """Of `values` (n,), any numbers (NaN counts as one more value, below all), of two arms (n,) in ascending `blocks` (n,) that are over.

    The order within a block does not matter. Blocks without rows of both arms are joined to the next. Never evidence *for* sameness.

    >>> control, canary = [1.0] * 10, [100.0] * 7 + [1.0] * 3
    >>> found = two_samples(control + canary, [False] * 10 + [True] * 10, [0] * 20)
    >>> bool(found.highest > np.log(20))
    True
    """
    return TwoSamples().extend(values, second, blocks)


class TwoSamples:
    """The same, of blocks that come one after the other: each look costs what came since the last one.

    >>> both = TwoSamples()
    >>> both.extend([1.0, 1.0, 9.0, 9.0], [False, False, True, True], [0] * 4).n, both.extend([1.0, 9.0], [False, True], [1, 1]).n
    (4, 6)
    """

    def __init__(self) -> None:
        self._rows, self._arm, self._named, self._latest = np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0), -math.inf
        self._bet_on = 0
        """Rows, sorted by block and part; those behind them wait for a block to be complete."""
        self._won, self._highest, self._binned = np.zeros((len(BINNINGS), len(WORTHS))), 0.0, 0
        self._edges: list[Floats] = []
        self._before: list[Floats] = []

    def extend(self, values: npt.ArrayLike, second: npt.ArrayLike, blocks: npt.ArrayLike) -> Difference:
        """Blocks that are over, later than all before."""
        rows, arm, named = np.asarray(values, dtype=np.float64), np.asarray(second, dtype=bool), np.asarray(blocks)
        if rows.ndim != 1 or not arm.shape == named.shape == rows.shape:
            raise ValueError(f"an arm and a block for each value: {rows.shape} values, {arm.shape} arms, {named.shape} blocks")
        if named.size and named[0] <= self._latest:
            raise ValueError(f"blocks later than {self._latest}, found {named[0]}")
        self._latest = named[-1] if named.size else self._latest
        self._rows = np.concatenate([self._rows, np.where(np.isnan(rows), -np.inf, rows)])
        self._arm, self._named = np.concatenate([self._arm, arm]), np.concatenate([self._named, named])
        first = self._bet_on
        place, _ = complete_blocks(self._arm[first:], self._named[first:])
        place = _parts(place[place >= 0])  # what waits comes last
        order, last = first + np.argsort(place, kind="stable"), first + place.size
        for each in (self._rows, self._arm, self._named):
            each[first:last] = each[order]
        for end in (np.flatnonzero(np.diff(np.sort(place), append=np.inf)) + 1 + first).tolist():
            self._bet(end)
        return Difference(_mixed(self._won), self._highest, self._bet_on)

    def _bet(self, end: int) -> None:
        begin = self._bet_on
        if end >= REBIN * self._binned:
            self._edges, self._binned = [_edges(self._rows[:end], shares) for shares in BINNINGS], end
            self._before = [_counts(self._rows[:begin], self._arm[:begin], cut) for cut in self._edges]
        for k, cut in enumerate(self._edges):
            counts = _counts(self._rows[begin:end], self._arm[begin:end], cut)
            self._won[k] += [_gain(counts, self._before[k] + worth) for worth in WORTHS]
            self._before[k] += counts
        self._highest, self._bet_on = max(self._highest, _mixed(self._won)), end


def _mixed(won: Floats) -> float:
    return float(log_sum(won.reshape(-1))) - math.log(won.size)


def _parts(place: Ints) -> Ints:
    """The blocks again, cut where they are large. By a row's number alone (Weyl's sequence), which spreads both arms over the parts however they lie,
    and must not look at the arm: labels would not be exchangeable within the parts."""
    parts = np.ceil(np.bincount(place) / MOST_ROWS).astype(np.int64)
    number = np.arange(place.size) - np.searchsorted(place, place)
    spread = np.floor(number * _GOLDEN % 1.0 * parts[place]).astype(np.int64)
    return np.asarray((np.cumsum(parts) - parts)[place] + spread, dtype=np.int64)


def _edges(rows: Floats, shares: tuple[float, ...]) -> Floats:
    """The least value of each bin but the first: a distinct value goes where the middle of its ranks lies."""
    distinct, counts = np.unique(rows, return_counts=True)
    places = np.searchsorted(shares, (np.cumsum(counts) - counts / 2.0) / rows.size, side="right")
    return distinct[1:][np.diff(places) > 0]


def _counts(rows: Floats, arm: npt.NDArray[np.bool_], edges: Floats) -> Floats:
    """(2, bins): rows of each arm."""
    bins = np.searchsorted(edges, rows, side="right")
    return np.stack([np.bincount(bins[arm == which], minlength=edges.size + 1) for which in (False, True)]).astype(np.float64)


def _gain(counts: Floats, before: Floats) -> float:
    """The logarithm of how much likelier the bet held these labels than chance does."""
    from scipy.special import betaln, gammaln

    arms = counts.sum(axis=1)
    if arms.min() == 0.0:
        return 0.0
    rows = counts.sum(axis=0)
    density = before / before.sum(axis=1, keepdims=True)
    share = arms[1] * density[1] / (arms @ density)
    worth = 1.0 / (share * (1.0 - share) * (1.0 / before).sum(axis=0))
    alpha, beta = worth * share, worth * (1.0 - share)
    ways = np.ones(1)
    for n, a, b in zip(rows.astype(int).tolist(), alpha, beta, strict=True):
        if n == 0:
            continue
        k = np.arange(n + 1)
        law = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0) + betaln(a + k, b + n - k) - betaln(a, b)
        ways = np.convolve(ways, np.exp(law))
    bet = np.sum(betaln(alpha + counts[1], beta + counts[0]) - betaln(alpha, beta)) - math.log(ways[int(arms[1])])
    chance = gammaln(arms[0] + 1.0) + gammaln(arms[1] + 1.0) - gammaln(arms.sum() + 1.0)
    return float(bet - chance)
