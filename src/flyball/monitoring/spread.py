"""How far windows differ although nothing drifts: days, weather, rows that come in bunches."""

import math
from collections.abc import Iterable, Sequence

import msgspec

FEWEST = 8
"""Windows; with fewer their spread is a guess."""
UNSEEN_DEVIATION = 2.0
"""Standard deviations: what a reference window of its size would have shown. So far off may any have been without being seen."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Per sense (senses.NAMES), over windows of the reference and those judged since: each one's excess (y − 1)/h, where y is its squared standardised
    difference from the others if rows were exchangeable, and h the harmonic size of both. Its mean is the variance between windows in units of rows'."""

    weighted: tuple[float, ...]
    """Σ w·excess."""
    weights: tuple[float, ...]
    """Σ w with w = h²/(1 + h·τ²)², the inverse variance of an excess at the reference's own τ²."""
    squares: tuple[float, ...]
    """Σ w²."""
    furthest: tuple[float, ...]
    """The largest excess seen."""
    taus: tuple[float, ...]
    """τ² by the reference: what the weights are made with."""
    size: float = 0.0
    """Σ h."""
    windows: int = 0


def learned(squares: Sequence[Sequence[float]], sizes: Sequence[float]) -> Spread:
    """From the reference: `squares[i][sense]` of window i, `sizes[i]` its harmonic size."""
    senses = range(len(squares[0]))
    taus = tuple(max(0.0, sum((row[s] - 1.0) / h for row, h in zip(squares, sizes, strict=True)) / len(sizes)) for s in senses)
    empty = (0.0,) * len(taus)
    spread = Spread(weighted=empty, weights=empty, squares=empty, furthest=(-1.0,) * len(taus), taus=_rounded(taus))
    for row, h in zip(squares, sizes, strict=True):
        spread = with_window(spread, row, h)
    return spread


def with_window(spread: Spread, squares: Sequence[float], size: float, most: float = math.inf) -> Spread:
    """One more window. `most`: it counts as no further off than so many times the furthest so far."""
    excess = [(y - 1.0) / size for y in squares]
    if most < math.inf:
        excess = [min(own, most * far) for own, far in zip(excess, _least(spread)[1], strict=True)]
    w = [(size / (1.0 + size * tau)) ** 2 for tau in spread.taus]
    return Spread(
        weighted=_rounded(a + b * c for a, b, c in zip(spread.weighted, w, excess, strict=True)),
        weights=_rounded(a + b for a, b in zip(spread.weights, w, strict=True)),
        squares=_rounded(a + b * b for a, b in zip(spread.squares, w, strict=True)),
        furthest=_rounded(max(a, b) for a, b in zip(spread.furthest, excess, strict=True)),
        taus=spread.taus,
        size=float(f"{spread.size + size:.7g}"),
        windows=spread.windows + 1,
    )


def p_values(spread: Spread, squares: Sequence[float], size: float, before: float) -> tuple[float, ...]:
    """Of a window's squared standardised differences from the `before` windows that it is compared with (as many as the rows before would fill).

    Var(difference) = rows' part · (1 + h·τ²·(1 + 1/before)), so the ratio to it is F(1, ν) where windows differ normally, with Satterthwaite's ν of the weights.
    They seldom do: rain comes in storms. So a p-value is never below its rank's, 1/(m + 1), and beyond the furthest window seen it falls no faster than
    with the square of the excess, as of a variable without a fourth moment. What small windows of the reference could not show, larger ones may:
    τ² and the furthest excess are at least what would have gone unnoticed, and a histogram's are at least those of the stream's ranks and means. `missing`,
    the last sense, stands alone: that a column wanders is no reason for its values to be absent.
    """
    taus, furthest = _least(spread)
    found = []
    for sense, square in enumerate(squares):
        alone = sense == len(squares) - 1
        tau = taus[sense] if alone else max(taus[: sense + 1])
        limit = furthest[sense] if alone else max(furthest[: sense + 1])
        found.append(_p_value(spread, sense, (square, size, before), (tau, limit)))
    return tuple(found)


def smallest_excess(spread: Spread, sense: int, p: float) -> float:
    """Of a window of the mean size that is told at level p, compared with those of the reference: how large a move is found."""
    from scipy.special import fdtri

    size = spread.size / spread.windows
    taus, furthest = _least(spread)
    degrees = max(spread.weights[sense] ** 2 / spread.squares[sense] - 1.0, 1.0)
    varies = (float(fdtri(1.0, degrees, 1.0 - p)) * (1.0 + size * taus[sense] * (1.0 + 1.0 / spread.windows)) - 1.0) / size
    return max(varies, furthest[sense] * math.sqrt(1.0 / (p * (spread.windows + 1.0))))


def _least(spread: Spread) -> tuple[list[float], list[float]]:
    """τ² and the furthest excess by sense, where what was too small to be noticed may have been there."""
    mean_size = spread.size / spread.windows
    noise = math.sqrt(2.0 / spread.windows) / mean_size
    taus = [max(a / b, noise) for a, b in zip(spread.weighted, spread.weights, strict=True)]
    return taus, [max(excess, UNSEEN_DEVIATION**2 / mean_size) for excess in spread.furthest]


def _p_value(spread: Spread, sense: int, seen: tuple[float, float, float], known: tuple[float, float]) -> float:
    from scipy.special import fdtrc

    (square, size, before), (tau, limit) = seen, known
    degrees = spread.weights[sense] ** 2 / spread.squares[sense] - 1.0
    if degrees < 1.0:
        return 1.0
    ratio = square / (1.0 + size * tau * (1.0 + 1.0 / max(before, 1.0)))
    excess = (ratio * (1.0 + size * tau) - 1.0) / size
    beyond = 1.0 if excess <= limit else (limit / excess) ** 2
    return max(float(fdtrc(1.0, degrees, ratio)), beyond / (spread.windows + 1.0))


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.7g}") for value in values)
