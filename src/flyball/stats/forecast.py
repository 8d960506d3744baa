"""How many more rows an interval that holds at all looks will need to come off a margin, if the difference stays as it is.

A bet at rate λ wins λg a row from a gap g between the estimate and the margin and loses about v(−log(1 − λ) − λ) to the spread v of a row (rows reach at most 1
from their centre: `bets.log_above` with rare events has just that loss, and for a small λ it is the usual λ²v/2). So the half width after n rows is a
function of v alone; the present one gives v, and v the number of rows at which it is down to the gap. It falls as 1/√n while rows vary, and as 1/n
while events are rare, where 1/√n would ask for several times too many.

The estimate itself will move, most while rows are few, so a forecast is a range: what one standard error nearer to the margin and one further from it would take.
Were the difference really to stay, the middle is 3 to 30 % too few. In simulations of rates from a tenth to half of the way, six to nine of ten ranges held the
rows that it took; the middle was rather too many (1.3 to 3 times), because an interval leaves a margin at a lucky moment.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import COUNTS, check_alpha, log_sum

Floats = npt.NDArray[np.float64]

_SHARES = COUNTS.rates / (1.0 + COUNTS.rates)
_LOSS = -np.log1p(-_SHARES) - _SHARES
_HALVINGS = 26
"""Of the range of a logarithm: to six digits."""
_ERRORS_TO_HALF = 3.3
"""Standard errors in the half width of a sequence, about, at alpha 0.05."""
MOST = 10**12
"""Rows. Beyond, the estimate lies on the margin for all that anybody will see."""


class Rows(NamedTuple):
    """More rows: if the difference stays, and from where to where it may be. None: more than anybody will see."""

    likely: int | None
    least: int | None
    most: int | None


def rows_needed(interval: tuple[float, float, float, int], margin: float, alpha: float, reach: float | None = 1.0) -> Rows | None:
    """More rows until it is settled; all 0 when it is. `interval`: (estimate, lower, upper, n) at `alpha`; `n` counts whatever comes as rows.

    `reach`: how far one row can lie from the mean, 1 for losses and rates; None for quantiles, whose width goes as 1/√n. None: it cannot be told yet, because
    an end is infinite or still at the end of what is possible (`reach` from 0).

    >>> rows_needed((0.0, -0.02, 0.02, 1000), 0.01, 0.05)
    Rows(likely=2684, least=583, most=18157)
    >>> rows_needed((0.0, -0.002, 0.005, 1000), 0.01, 0.05)
    Rows(likely=0, least=0, most=0)
    """
    check_alpha(alpha)
    estimate, lower, upper, n = interval
    if upper <= margin or lower > margin:
        return Rows(0, 0, 0)
    gap, half, end = (
        (margin - estimate, upper - estimate, upper) if estimate < margin else (estimate - margin, estimate - lower, lower)
    )
    if n == 0 or not math.isfinite(half) or (reach is not None and abs(end) >= reach):
        return None
    scale = reach or half  # a quantile's own width is its only unit
    spread = _spread(half / scale, n, alpha) if reach is not None else None
    error = math.sqrt(spread / n) * scale if spread is not None else half / _ERRORS_TO_HALF

    gaps = np.array([gap, gap + error, gap - error])
    with np.errstate(divide="ignore"):  # a gap of nothing needs more rows than there are
        wanted = n * (half / gaps) ** 2 if spread is None else _rows_at(gaps / scale, spread, alpha, n)
    return Rows(*(_more(rows, n) if each > 0.0 else None for each, rows in zip(gaps.tolist(), wanted.tolist(), strict=True)))


def _more(rows: float, n: int) -> int | None:
    return max(math.ceil(rows) - n, 1) if rows <= MOST else None


def hours_needed(rows: int | None, per_hour: float) -> float | None:
    """Until so many more rows are there at this rate. None: never, or not known.

    >>> hours_needed(300, 120.0)
    2.5
    """
    return None if rows is None or (rows > 0 and not per_hour > 0.0) else rows / per_hour if rows else 0.0


def _is_down_to(half: Floats, rows: Floats, spread: Floats, alpha: float) -> npt.NDArray[np.bool_]:
    """(k,): whether the half width after so many rows of such a spread each is below `half`: whether the capital of a bet on a gap of that size is enough by then."""
    capital = rows[:, None] * (_SHARES * half[:, None] - spread[:, None] * _LOSS)
    enough: npt.NDArray[np.bool_] = log_sum(capital + COUNTS.log_weights) > math.log(2.0 / alpha)
    return enough


def _spread(half: float, n: int, alpha: float) -> float:
    """The spread of a row whose interval has this half width; 0 where even less would be wider."""
    halves, rows, low, high = np.array([half]), np.array([float(n)]), np.log([1e-12]), np.log([1e3])
    if not _is_down_to(halves, rows, np.exp(low), alpha)[0]:
        return 0.0
    low, _ = _narrowed(lambda spread: _is_down_to(halves, rows, np.exp(spread), alpha), low, high)
    return math.exp(low[0])


def _rows_at(halves: Floats, spread: float, alpha: float, n: int) -> Floats:
    """(k,) at which the half widths (k,) are reached; more than MOST where they are not."""
    low, high = np.full(halves.size, math.log(n)), np.full(halves.size, math.log(2.0 * MOST))
    spreads = np.full(halves.size, spread)
    _, high = _narrowed(lambda rows: ~_is_down_to(halves, np.exp(rows), spreads, alpha), low, high)
    return np.asarray(np.exp(high), dtype=np.float64)


def _narrowed(before: Callable[[Floats], npt.NDArray[np.bool_]], low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Ends (k,) around where `before` begins to fail, searched for all k at once."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        yes = before(middle)
        low, high = np.where(yes, middle, low), np.where(yes, high, middle)
    return low, high
