"""Changes of real rows: each makes rows that could have come, by drawing real rows differently or by a fault that real pipelines have.

Nothing is added to a number: an integer that is no integer any more lies off its lattice, and every binned test "wins".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.monitoring.frames import SCORE, Floats, Frame, Ints

Rng = np.random.Generator
Make = Callable[[int, int, Rng], Frame]
"""(windows since the change, rows wanted, randomness) → rows."""
BY_CHANCE = "noise"
"""A column that no model has ever seen: what moves in it does no harm."""
GRADUAL_WINDOWS = 20


@dataclass(frozen=True)
class Change:
    """What became of the world."""

    name: str
    right: frozenset[str]
    """Columns of which one ought to be named first."""
    make: Make
    harmless: bool = False
    windows: int = 1
    """It takes so many to come: one looks for as many at least."""


def with_noise(frame: Frame, seed: int = 3) -> Frame:
    return frame.with_columns({BY_CHANCE: np.round(np.random.default_rng(seed).gamma(2.0, 10.0, size=len(frame)))})


def tilt(values: Floats, shift_sd: float) -> Floats:
    """Weights of rows ∝ exp(θ z) under which the mean of `values` is `shift_sd` standard deviations higher; z is cut at 4 (a tail must not carry it all)."""
    present = np.where(np.isnan(values), np.nanmean(values), values)
    sd = float(present.std())
    z = np.clip((present - present.mean()) / sd, -4.0, 4.0)
    wanted = float(present.mean()) + shift_sd * sd
    low, high = 0.0, 8.0
    for _ in range(60):
        theta = 0.5 * (low + high)
        weights = np.exp(theta * (z - z.max()))
        weights /= weights.sum()
        low, high = (theta, high) if float(weights @ present) < wanted else (low, theta)
    return weights


def share(values: NDArray[Any], word: str, points: float) -> Floats:
    """Weights under which `word` is `points` per cent of the rows more frequent."""
    there = values == word
    p = float(there.mean())
    wanted = min(p + points / 100.0, 0.999)
    return np.where(there, wanted / p, (1.0 - wanted) / (1.0 - p)) / values.size


def moved_as_far(frame: Frame, weights: Floats, column: str) -> frozenset[str]:
    """`column` and those that the same rows move at least nine tenths as far (education and its code): naming one of them first is right.

    Far: total variation between the weighted and the plain rows in twenty quantile bins.
    """
    far = {name: _variation(values, weights) for name, values in frame.seen.items()}
    return frozenset(name for name, value in far.items() if value >= 0.9 * far[column]) | {column}


def _variation(values: NDArray[Any], weights: Floats) -> float:
    if values.dtype == object:
        place = np.unique(values.astype(str), return_inverse=True)[1]
    else:
        edges = np.unique(np.nanquantile(values, np.arange(1, 20) / 20, method="inverted_cdf"))
        place = np.where(np.isnan(values), edges.size + 1, np.searchsorted(edges, values))
    return 0.5 * float(np.abs(np.bincount(place, weights) - np.bincount(place) / values.size).sum())


def changes_of(frame: Frame) -> Iterator[Change]:
    """All of them, on this table."""
    number, other = _numbers(frame)
    column, word = _category(frame)
    for shift in (0.05, 0.1, 0.2, 0.5):
        yield _drawn(f"mean of {number} +{shift:g} SD", frame, number, tilt(frame.columns[number], shift))
    for points in (1, 3, 10):
        weights = share(frame.columns[column], word, points)
        yield _drawn(f"{column}={word} +{points} points", frame, column, weights)
    for points in (1, 5, 30):
        yield _spoiled(f"{number} missing +{points} %", frame, number, _masked(points))
    for points in (0.5, 2):
        yield _spoiled(f"{column}: {points:g} % of a new word", frame, column, _renamed(points))
    yield _spoiled(f"{number} in another unit (× 2.54)", frame, number, lambda values, _: np.round(values * 2.54))
    yield _spoiled(f"{number} frozen", frame, number, lambda values, _: np.full_like(values, values[0]))
    for share_of_rows in (1.0, 0.25):
        words = "" if share_of_rows == 1.0 else f" in {100 * share_of_rows:g} % of rows"
        yield _spoiled(f"{number} against the others permuted{words}", frame, number, _permuted(share_of_rows))
    yield Change(f"{number} and {other} swapped", frozenset({number, other}), _swapped(frame, number, other))
    for shift in (0.1, 0.3):
        yield Change(f"score +{shift:g} SD", frozenset({SCORE}), _score_moved(frame, shift))
    yield _gradual(frame, number)
    weights = tilt(frame.columns[BY_CHANCE], 0.5)
    yield _drawn("a column that no model looks at +0.5 SD", frame, BY_CHANCE, weights, harmless=True)


def _numbers(frame: Frame) -> tuple[str, str]:
    """Of the numbers with at least fifteen values the two whose ranks say most of the score's: what moves in them matters."""
    score = _ranks(frame.score)
    tied = {
        name: abs(float(np.corrcoef(_ranks(values), score)[0, 1]))
        for name, values in frame.columns.items()
        if values.dtype != object and name != BY_CHANCE and not np.isnan(values).any() and np.unique(values).size >= 15
    }
    first, second = sorted(tied, key=lambda name: -tied[name])[:2]
    return first, second


def _ranks(values: Floats) -> Floats:
    return np.unique(values, return_inverse=True)[1].astype(float)


def _category(frame: Frame) -> tuple[str, str]:
    """The word whose share is nearest to a fifth, of columns with at least three."""
    best: tuple[float, str, str] | None = None
    for name, values in frame.columns.items():
        if values.dtype != object:
            continue
        words, times = np.unique(values.astype(str), return_counts=True)
        for word, count in zip(words, times, strict=True):
            far = abs(count / values.size - 0.2)
            if word and words.size >= 3 and (best is None or far < best[0]):
                best = far, name, str(word)
    assert best is not None
    return best[1], best[2]


def _drawn(name: str, frame: Frame, column: str, weights: Floats, *, harmless: bool = False) -> Change:
    """Rows drawn with weights: what depends on the column moves with it, as it would."""
    cumulated = np.cumsum(weights)

    def make(number: int, n: int, draw: Rng) -> Frame:
        del number
        return frame.take(_draw(cumulated, n, draw))

    return Change(name, moved_as_far(frame, weights, column), make, harmless)


def _draw(cumulated: Floats, n: int, draw: Rng) -> Ints:
    return np.minimum(np.searchsorted(cumulated, draw.random(n) * cumulated[-1]), cumulated.size - 1)


def _spoiled(name: str, frame: Frame, column: str, spoil: Callable[[NDArray[Any], Rng], NDArray[Any]]) -> Change:
    """Rows as ever, one column spoiled on its way."""

    def make(number: int, n: int, draw: Rng) -> Frame:
        del number
        rows = frame.take(draw.integers(len(frame), size=n))
        return rows.with_columns({column: spoil(rows.columns[column], draw)})

    return Change(name, frozenset({column}), make)


def _masked(points: float) -> Callable[[NDArray[Any], Rng], NDArray[Any]]:
    return lambda values, draw: np.where(draw.random(values.size) < points / 100, np.nan, values)


def _renamed(points: float) -> Callable[[NDArray[Any], Rng], NDArray[Any]]:
    return lambda values, draw: np.where(draw.random(values.size) < points / 100, "never seen", values).astype(object)


def _permuted(part: float) -> Callable[[NDArray[Any], Rng], NDArray[Any]]:
    """Dependence only: the values are the same, of a part of the rows they stand elsewhere."""

    def permute(values: NDArray[Any], draw: Rng) -> NDArray[Any]:
        rows = np.flatnonzero(draw.random(values.size) < part)
        moved = values.copy()
        moved[rows] = values[draw.permutation(rows)]
        return moved

    return permute


def _swapped(frame: Frame, a: str, b: str) -> Make:
    def make(number: int, n: int, draw: Rng) -> Frame:
        del number
        rows = frame.take(draw.integers(len(frame), size=n))
        return rows.with_columns({a: rows.columns[b], b: rows.columns[a]})

    return make


def _score_moved(frame: Frame, shift_sd: float) -> Make:
    """Each score becomes the one of the same rank in the tilted distribution: values that the model does give, in the same order, only higher."""
    ordered = np.sort(frame.score)
    cumulated = np.cumsum(tilt(ordered, shift_sd))
    ranks = np.arange(1, ordered.size + 1) / ordered.size

    def make(number: int, n: int, draw: Rng) -> Frame:
        del number
        rows = frame.take(draw.integers(len(frame), size=n))
        rank = ranks[np.minimum(np.searchsorted(ordered, rows.score, side="right") - 1, ordered.size - 1)]
        place = np.minimum(np.searchsorted(cumulated / cumulated[-1], rank), ordered.size - 1)
        moved = ordered[place]
        return Frame(rows.columns, moved, rows.label, rows.event_us, rows.task)

    return make


def _gradual(frame: Frame, column: str) -> Change:
    """To half a standard deviation over twenty windows."""
    steps = [tilt(frame.columns[column], 0.5 * (k + 1) / GRADUAL_WINDOWS) for k in range(GRADUAL_WINDOWS)]
    cumulated = [np.cumsum(weights) for weights in steps]

    def make(number: int, n: int, draw: Rng) -> Frame:
        return frame.take(_draw(cumulated[min(number, GRADUAL_WINDOWS - 1)], n, draw))

    right = moved_as_far(frame, steps[-1], column)
    return Change(f"mean of {column} to +0.5 SD over {GRADUAL_WINDOWS} windows", right, make, windows=GRADUAL_WINDOWS)
