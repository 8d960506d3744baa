"""How far windows differ although nothing drifts: days, weather, rows that come in bunches."""

import math
from collections.abc import Sequence

import msgspec

FEWEST = 8
"""Windows; with fewer their spread is a guess."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Per sense (senses.NAMES), over windows of the reference and those judged since: each one's excess (y − 1)/h, where y is its squared standardised
    difference from the others if rows were exchangeable, and h the harmonic size of both. Its mean is the variance between windows in units of rows'."""

    weighted: tuple[float, ...]
    """Σ w·excess."""
    weights: tuple[float, ...]
    """Σ w with w = h²/(1 + h·τ²)², the inverse variance of an excess at the reference's own τ²."""
    squares: tuple[float, ...]
    """Σ w²."""
    highest: tuple[float, ...]
    """The largest excess seen."""
    taus: tuple[float, ...]
    """τ² by the reference: what the weights are made with."""
    windows: int


def learned(squares: Sequence[Sequence[float]], sizes: Sequence[float]) -> Spread:
    """From the reference: `squares[i][sense]` of window i, `sizes[i]` its harmonic size."""
    senses = range(len(squares[0]))
    taus = tuple(max(0.0, sum((row[s] - 1.0) / h for row, h in zip(squares, sizes, strict=True)) / len(sizes)) for s in senses)
    empty = (0.0,) * len(taus)
    spread = Spread(weighted=empty, weights=empty, squares=empty, highest=(-math.inf,) * len(taus), taus=taus, windows=0)
    for row, h in zip(squares, sizes, strict=True):
        spread = with_window(spread, row, h)
    return msgspec.structs.replace(spread, taus=_rounded(taus))


def with_window(spread: Spread, squares: Sequence[float], size: float) -> Spread:
    """One more window."""
    excess = [(y - 1.0) / size for y in squares]
    w = [(size / (1.0 + size * tau)) ** 2 for tau in spread.taus]
    return Spread(
        weighted=_rounded(a + b * c for a, b, c in zip(spread.weighted, w, excess, strict=True)),
        weights=_rounded(a + b for a, b in zip(spread.weights, w, strict=True)),
        squares=_rounded(a + b * b for a, b in zip(spread.squares, w, strict=True)),
        highest=_rounded(max(a, b) for a, b in zip(spread.highest, excess, strict=True)),
        taus=spread.taus,
        windows=spread.windows + 1,
    )


def p_value(spread: Spread, sense: int, square: float, size: float) -> float:
    """Of a window's squared standardised difference: F with one degree of freedom against those of the windows before.

    Var(difference) = rows' part · (1 + h·τ²·(1 + 1/m)). The ratio is F(1, ν) when windows differ normally, with Satterthwaite's ν of the weights.
    Not normal: so a window that is not further off than every one before it has no smaller p than its rank gives, 1/(m + 1).
    """
    from scipy.special import fdtrc

    total = spread.weights[sense]
    degrees = total**2 / spread.squares[sense] - 1.0
    if degrees < 1.0:
        return 1.0
    tau = max(0.0, spread.weighted[sense] / total)
    expected = 1.0 + size * tau * (1.0 + 1.0 / (degrees + 1.0))
    p = float(fdtrc(1.0, degrees, square / expected))
    return p if (square - 1.0) / size > spread.highest[sense] else max(p, 1.0 / (spread.windows + 1.0))


def _rounded(values: object) -> tuple[float, ...]:
    return tuple(float(f"{value:.7g}") for value in values)  # type: ignore[attr-defined]
