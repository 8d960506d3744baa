"""A rising map from scores to probabilities, from rows with labels: recalibration that changes no ranking.

Few rows: Platt's sigmoid over the score's log odds (Platt 1999, as beta-free logistic calibration), by a maximum a posteriori towards no change at all
(stats/logistic.py), so that ten rows move little. Many rows: centred isotonic regression (Oron & Flournoy, Statistics in Biopharmaceutical Research 9,
2017): pool adjacent violators (Ayer et al. 1955), each pool at its rows' mean score, linear between them, so that the map rises where plain isotonic
regression has steps and no two scores become one. From about 1,000 to 2,000 rows on isotonic regression is the better one, below it overfits
(Niculescu-Mizil & Caruana, ICML 2005).

Assumed: rows are of the population that will be answered; a chance of the label that rises with the score. Nothing of independence: dependent rows
make the map as good as fewer rows would.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from flyball.stats import logistic

Floats = npt.NDArray[np.float64]
Points = tuple[tuple[float, ...], tuple[float, ...]]
"""(scores ascending, answers never falling), as many of each."""

ISOTONIC_ROWS = 2_000
"""From so many on isotonic, with at least FEWEST_OF_A_CLASS of each; below it the sigmoid (Niculescu-Mizil & Caruana 2005, figure 10)."""
FEWEST_OF_A_CLASS = 100
BINS = 100
"""Of as many neighbouring rows each, and one more for each score that many share. ISOTONIC_ROWS / BINS = 20 rows are known to ±0.1 before they are pooled."""
PRIOR_ROWS = 1.0
"""Of no change, in each bin: without it a bin of no's would be answered as 0, and one yes there costs an infinite log loss."""
_SIGMOID_POINTS = 129
"""Over ±13.8 log odds: linear interpolation between neighbours 0.22 apart errs by 6e-4 of a probability at most."""


def isotonic(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Points:
    """`scores` (n,) in [0, 1], `labels` (n,) 0 or 1. Ends at (0, 0) and (1, 1), where no rows say otherwise.

    >>> x = np.linspace(0.05, 0.95, 1000)
    >>> scores, answers = isotonic(x, np.arange(1000) % 2)
    >>> bool(np.all(np.diff(answers) > 0)), round(float(np.interp(0.2, scores, answers)), 1)
    (True, 0.5)
    """
    from scipy.optimize import isotonic_regression

    x, y = _checked(scores, labels)
    bins = _bins(x)
    centres = np.array([x[part].mean() for part in bins])
    weights = np.array([part.size for part in bins]) + PRIOR_ROWS
    rates = np.array([(y[part].sum() + PRIOR_ROWS * centre) for part, centre in zip(bins, centres, strict=True)]) / weights
    pooled = isotonic_regression(rates, weights=weights)
    edges = pooled.blocks
    xs = [float(np.average(centres[low:high], weights=weights[low:high])) for low, high in pairwise(edges)]
    ys = [float(pooled.x[low]) for low in edges[:-1]]
    low, high = ([end] if _short(x_there) != end else [] for x_there, end in ((xs[0], 0.0), (xs[-1], 1.0)))
    return _points([*low, *xs, *high], [*low, *ys, *high])


def _bins(x: Floats) -> list[npt.NDArray[np.intp]]:
    """Places of equally many neighbouring rows. Those of one score stay together: of two rates for it the higher would be answered."""
    order = np.argsort(x, kind="stable")
    ordered, cuts = x[order], np.arange(1, BINS) * x.size // BINS
    first, last = (np.searchsorted(ordered, ordered[cuts], side=side) for side in ("left", "right"))
    divided = first < cuts
    edges = np.unique(np.concatenate([cuts[~divided], first[divided], last[divided]]))
    return np.split(order, edges[(edges > 0) & (edges < x.size)])


def sigmoid(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Points | None:
    """None: the score's own order is turned round on these rows, and no rising map mends that.

    >>> scores, answers = sigmoid(np.full(400, 0.2), np.arange(400) % 2)
    >>> round(float(np.interp(0.2, scores, answers)), 1)
    0.5
    """
    x, y = _checked(scores, labels)
    odds_of_rows = logistic.logit(x)
    middle = float(odds_of_rows.mean())
    # Around the rows' own middle: where all scores are alike, rows speak of the shift alone.
    columns = np.stack([np.ones_like(x), odds_of_rows - middle], axis=1)
    level, slope = logistic.fit(columns, y, np.ones_like(y), [middle, 1.0])
    if slope <= 0.0:
        return None
    odds = np.linspace(-logistic.logit([1.0])[0], logistic.logit([1.0])[0], _SIGMOID_POINTS)
    return _points(logistic.expit(odds), logistic.expit(level + slope * (odds - middle)))


def rising_map(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[str, Points] | None:
    """(`isotonic` or `platt`, points), by how many rows there are; None as `sigmoid`."""
    x, y = _checked(scores, labels)
    rarer = min(y.sum(), y.size - y.sum())
    found = sigmoid(x, y)
    if found is None:  # pooled it would be one answer for everybody
        return None
    return ("isotonic", isotonic(x, y)) if x.size >= ISOTONIC_ROWS and rarer >= FEWEST_OF_A_CLASS else ("platt", found)


def chained(first: Points, then: Points) -> Points:
    """One map that does what the first and then the second do: linear between the points of both."""
    inner = np.interp(then[0], first[1], first[0])
    xs = np.unique(np.concatenate([first[0], inner]))
    return _points(xs, np.interp(np.interp(xs, *first), *then))


def best_threshold(scores: npt.ArrayLike, labels: npt.ArrayLike, yes_cost: float) -> float:
    """The threshold with the least cost on these rows, where a wrong yes costs `yes_cost` and a wrong no 1 − `yes_cost`.

    On calibrated scores it is `yes_cost` itself (Elkan, IJCAI 2001, equation 2). Of equally good ones the nearest to it.

    >>> best_threshold([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], 0.5)
    0.25
    """
    x, y = _checked(scores, labels)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    # said yes from place i on: the no's at and after it are wrong, and so are the yes's before it
    wrong_yes = np.append(np.cumsum((1.0 - y)[::-1])[::-1], 0.0)
    wrong_no = np.append(0.0, np.cumsum(y))
    cost = yes_cost * wrong_yes + (1.0 - yes_cost) * wrong_no
    possible = np.append(True, np.append(x[1:] > x[:-1], True))
    between = np.concatenate([[0.0], (x[1:] + x[:-1]) / 2.0, [1.0]])
    best = np.flatnonzero(possible & (cost <= cost[possible].min() + 1e-9))
    return _short(float(between[best[np.argmin(np.abs(between[best] - yes_cost))]]))


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0:
        raise ValueError(f"one label a score, at least one row, found shapes {x.shape} and {y.shape}")
    if not (x.min() >= 0.0 and x.max() <= 1.0 and np.isin(y, (0.0, 1.0)).all()):
        raise ValueError("scores in [0, 1] and labels of 0 or 1")
    return x, y


def _points(xs: npt.ArrayLike, ys: npt.ArrayLike) -> Points:
    """Rounded as they are stored, each score once, answers never falling."""
    found: dict[float, float] = {}
    highest = 0.0
    for x, y in zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True):
        highest = max(highest, _short(min(max(y, 0.0), 1.0)))
        found[_short(x)] = highest
    return tuple(found), tuple(found.values())


def _short(value: float) -> float:
    return float(f"{value:.8g}")
