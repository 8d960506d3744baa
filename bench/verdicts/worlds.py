"""What champion and challenger do to requests: seeded worlds in which the truth is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """Of one release, in the order in which they came; all (n,)."""

    champion: Floats
    """Its loss, or whatever is compared; larger is worse."""
    challenger: Floats


World = Callable[[np.random.Generator, int, float], Rows]
"""(generator, rows, harm): what both did, the challenger worse by `harm` in expectation."""


def errors(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Both classify the same rows; each is wrong where it is hard, and sometimes by itself. Error rates 10 % and 10 % + harm."""
    hard = rng.random(n) < 0.08
    own = (rng.random(n) < 0.0217, rng.random(n) < (0.02 + harm) / 0.92)
    return Rows(*((hard | each).astype(np.float64) for each in own))


def failures(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Two arms that answer different rows: failure rates 5 % and 5 % + harm."""
    return Rows((rng.random(n) < 0.05).astype(np.float64), (rng.random(n) < 0.05 + harm).astype(np.float64))


def brier(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Scores with noise of their own; the challenger's has so much more that its log loss is worse by the share `harm`."""
    logit = rng.normal(0.0, 1.5, n)
    y = rng.random(n) < _sigmoid(logit)
    noises = (0.3, _noise_for(harm))
    scores = (_sigmoid(logit + rng.normal(0.0, noise, n)) for noise in noises)
    return Rows(*((score - y) ** 2 for score in scores))


def latencies(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Milliseconds with a heavy tail (Pareto 1.5 over a lognormal), the challenger's longer by the share `harm`."""
    both = [rng.lognormal(1.5, 0.4, n) * np.where(rng.random(n) < 0.05, 1.0 + rng.pareto(1.5, n), 1.0) for _ in range(2)]
    return Rows(both[0], both[1] * (1.0 + harm))


def rewards(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Mostly nothing, sometimes a basket of up to 100: what is lost is minus the reward; the challenger's buyers are fewer by the share `harm`."""
    bought = rng.random(n) < 0.04, rng.random(n) < 0.04 * (1.0 - harm)
    return Rows(*(-1.0 * each * np.minimum(rng.lognormal(3.0, 0.8, n), 100.0) for each in bought))


def autocorrelated(rng: np.random.Generator, n: int, harm: float) -> Rows:
    """Paired losses whose difference wanders: AR(1) at 0.8 from row to row, as when a busy client sends many rows alike."""
    steps = rng.normal(0.0, 0.06, n)
    wander = np.empty(n)
    state = rng.normal(0.0, 0.1)
    for at, step in enumerate(steps):
        state = 0.8 * state + step
        wander[at] = state
    base = rng.uniform(0.3, 0.7, n)
    return Rows(base, np.clip(base + wander + harm, 0.0, 1.0))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


_GRID = np.random.default_rng(1).normal(size=(2, 20_000))


def _log_loss(noise: float) -> float:
    """Of scores with that noise, in expectation over a fixed sample."""
    logit = 1.5 * _GRID[0]
    p, q = _sigmoid(logit), np.clip(_sigmoid(logit + noise * _GRID[1]), 1e-9, 1 - 1e-9)
    return float(-(p * np.log(q) + (1 - p) * np.log(1 - q)).mean())


def _noise_for(harm: float) -> float:
    """By bisection: log loss grows with the noise."""
    wanted, low, high = _log_loss(0.3) * (1.0 + harm), 0.3, 5.0
    if harm == 0.0:
        return low
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _log_loss(middle) < wanted else (low, middle)
    return low
