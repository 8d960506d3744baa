"""How labels followed the answers on rows that a version had not seen, window by window: what concept drift is measured against.

A stream is one number per row, with what it was on the holdout in each bin of the score:
  level     label minus answer: the base rate, or a bias
  loss      the bounded loss: more of it than these answers bring means that they are wrong about the labels
  score k   label minus answer where the score lies in bin k: over- and under-confidence, a concept that turned
  class C   share of the class minus its mean probability (more than two classes)
A window's score in a stream is the sum of its rows' departures from what the bins expect, over what that sum varies by: sampling noise, and as much as
windows of the holdout differ among themselves. It does not move when only the mix of answers does. The bins' means are a sample's, too: what their error
makes of a window is the same in all windows, and its size is kept beside the departure.
"""

import math
from datetime import timedelta
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks, streams
from flyball.monitoring.reference import HoldoutScores
from flyball.records.signature import Signature, Task
from flyball.stats import dependence, losses

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 5
"""Of the score, equally filled on the holdout: with 300 labels a window has 60 in each."""
MOST_CLASSES = 10
"""Streams of their own have the most frequent ones."""
LEAST_IN_BIN = 10
"""Labelled rows of a window without which a bin says nothing of it."""
LEAST_SPREAD = 1e-3
"""Standard deviation of a row. Without it a bin whose labels never varied would make one new label infinitely surprising."""
LEAST_FOR_DEPENDENCE = 24
"""Windows of the holdout from which on it is asked whether neighbours resemble each other; fewer cannot tell."""
LEAST_BLOCKS = 12
"""Windows, or blocks of them, from which on alarms come soon."""
FEWEST_WINDOWS = 4
UNLIKE = 0.05
"""Chance that windows which differ as their rows do are taken for others: they are then judged by ranks alone, which costs time. As in exchangeable.py."""


FILE = "calibration.json"
"""In a package."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """One stream on the holdout."""

    name: str
    means: tuple[float, ...]
    """Of the rows in each bin of the score."""
    spreads: tuple[float, ...]
    """Their standard deviations."""
    between: float = 0.0
    """Standard deviation of a window's mean beyond sampling noise."""
    alike: bool = False
    """Windows are not seen to differ by more than their rows do. False, too, of a release that did not ask."""
    windows: tuple[float, ...] = ()
    """Scores of the holdout's windows, each against all others, in order of time."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """All streams of a version. Encode with `records.codec`; some tens of kB."""

    format: int = 1
    task: Task
    classes: tuple[str, ...]
    scale: float
    """Regression: absolute error that counts as a loss of 1. Otherwise 1."""
    edges: tuple[float, ...]
    """Inner edges of the score's bins."""
    counts: tuple[int, ...]
    """Holdout rows in each bin."""
    loss: float
    """Mean bounded loss of the holdout."""
    streams: tuple[Expected, ...]
    block: int = 1
    """Windows that are judged together: more than one where neighbours resemble each other."""
    in_time: bool = True
    notes: tuple[str, ...] = ()


class Departure(NamedTuple):
    """How far a window's rows lie from what the bins expect."""

    total: float
    variance: float
    """Of the total, by sampling alone."""
    n: int
    error: float = 0.0
    """Standard deviation of the total, by the holdout's own means alone. 0: of a state that did not keep it."""

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0


class Outcomes(NamedTuple):
    """Labelled rows, as far as they are numbers: the others have nothing to be judged by."""

    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    """Class indices, or numbers for regression. (n_rows,)"""
    kept: NDArray[np.bool_]
    """Which of the rows that were given."""


def outcomes_of(scores: ArrayLike, labels: ArrayLike) -> Outcomes:
    """Raises DataError when they do not belong together."""
    table, truth = streams.score_table(scores), np.asarray(labels, dtype=np.float64)
    if len(table) != len(truth):
        raise DataError(f"{len(table)} scores and {len(truth)} labels", expected="one label per score")
    finite = np.isfinite(truth) & np.isfinite(table).all(axis=1)
    return Outcomes(table[finite], truth[finite], finite)


def build(signature: Signature, holdout: HoldoutScores, labels: ArrayLike, window: timedelta, scale: float | None) -> Calibration:
    """Of the version's answers on its holdout. `labels` (n_rows,): class indices, or numbers for regression; `scale`: regression only.

    Raises DataError for a holdout without labelled rows, or labels that are not one per row.
    """
    rows = outcomes_of(holdout.scores, labels)
    if not len(rows.labels):
        raise DataError("a holdout without labelled rows", expected="answers and labels of rows that were not trained on")
    times = None if holdout.event_us is None else np.asarray(holdout.event_us, dtype=np.int64)[rows.kept]
    size = 1.0 if scale is None else float(scale)
    score = coordinate(signature.task, rows.scores)
    edges = tuple(np.unique(np.quantile(score, np.arange(1, BINS) / BINS, method="inverted_cdf")).tolist())
    cut = _cut(len(rows.labels), times, window)
    parts = list(cut.windows)
    values = row_values(signature.task, signature.classes, size, rows)
    bins = np.searchsorted(np.asarray(edges), score, side="left")
    found = tuple(
        _expected(name, of_rows, bins, len(edges) + 1, parts)
        for name, of_rows in values.items()
        if not name.startswith("class ") or name in _frequent(signature, rows.scores)
    )
    for k in range(len(edges) + 1):
        of_bin = [part[bins[part] == k] for part in parts]
        found += (_expected(f"score {k + 1}", values["level"], bins, len(edges) + 1, of_bin),)
    return Calibration(
        task=signature.task, classes=signature.classes, scale=size, edges=edges,
        counts=tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()), loss=_short(float(values["loss"].mean())),
        streams=found, block=_block(found) if cut.in_time else 1, in_time=cut.in_time, notes=_notes(cut.in_time, len(parts)),
    )  # fmt: skip


def _cut(n: int, times: Ints | None, window: timedelta) -> blocks.Cut:
    """Windows of time from FEWEST_WINDOWS on, where their spread could not be told yet: ranks do with few, and say so by betting little."""
    found = blocks.cut(n, times, window, blocks.MOST_NUMBERED)  # all of them: neighbours tell what one has to do with the next
    if found.in_time or times is None:
        return found
    order = np.argsort(times, kind="stable")
    numbers = times[order] // max(int(window / timedelta(microseconds=1)), 1)
    parts = np.split(order, np.flatnonzero(np.diff(numbers)) + 1)
    whole = tuple(part for part in parts if part.size >= blocks.FEWEST_ROWS)
    return blocks.Cut(whole, in_time=True) if len(whole) >= FEWEST_WINDOWS else found


def coordinate(task: Task, table: Floats) -> Floats:
    """What the score's bins are made of: the probability, the value, or the probability of the most probable class."""
    return table.max(axis=1) if task == "multiclass" else table[:, 0]


def row_values(task: Task, classes: tuple[str, ...], scale: float, rows: Outcomes) -> dict[str, Floats]:
    """`level`, `loss` and the classes' streams: a number per row. A regression's errors beyond the scale count as it: tails are heavy."""
    table, labels = rows.scores, rows.labels
    loss = losses.bounded_loss(task, table, labels, scale)
    if task == "regression":
        return {"level": np.clip((labels - table[:, 0]) / scale, -1.0, 1.0), "loss": loss}
    if task == "binary":
        return {"level": labels - table[:, 0], "loss": loss}
    truth = np.zeros_like(table)
    truth[np.arange(len(table)), labels.astype(np.int64)] = 1.0
    values = {"level": truth[np.arange(len(table)), table.argmax(axis=1)] - table.max(axis=1), "loss": loss}
    return values | {f"class {name}": truth[:, k] - table[:, k] for k, name in enumerate(classes)}


def _frequent(signature: Signature, table: Floats) -> frozenset[str]:
    """Streams of the classes that the version most often answers."""
    order = np.argsort(-table.mean(axis=0), kind="stable")[:MOST_CLASSES]
    return frozenset(f"class {signature.classes[k]}" for k in order.tolist())


def departures(calibration: Calibration, rows: Outcomes) -> dict[str, Departure]:
    """Of one window, in every stream of which it has enough rows."""
    bins = np.searchsorted(np.asarray(calibration.edges), coordinate(calibration.task, rows.scores), side="left")
    values = row_values(calibration.task, calibration.classes, calibration.scale, rows)
    found = {}
    for stream in calibration.streams:
        mine = _bin_number(stream.name)
        chosen = bins >= 0 if mine is None else bins == mine
        of_rows = values["level"] if mine is not None else values[stream.name]
        n = np.bincount(bins[chosen], minlength=len(stream.means))
        if n.sum() >= LEAST_IN_BIN:
            total = float(of_rows[chosen].sum() - n @ np.asarray(stream.means))
            spreads = np.asarray(stream.spreads)
            error = math.sqrt(float(((n * spreads) ** 2 / np.maximum(calibration.counts, 1)).sum()))
            found[stream.name] = Departure(total, float(n @ spreads**2), int(n.sum()), error)
    return found


def score(stream: Expected, departure: Departure) -> float:
    """About standard normal while labels follow the answers as on the holdout."""
    return _short(departure.total / math.sqrt(departure.variance + (departure.n * stream.between) ** 2))


def usual_spread(stream: Expected, departure: Departure, windows: int) -> float:
    """What the mean departure of a window of the holdout varies by, of such answers: the error of its means is the noise of all `windows` together."""
    return _short(math.hypot(math.sqrt(windows) * departure.error / departure.n, stream.between))


def _bin_number(name: str) -> int | None:
    return int(name.removeprefix("score ")) - 1 if name.startswith("score ") else None


def _expected(name: str, values: Floats, bins: Ints, n_bins: int, parts: list[Ints]) -> Expected:
    """Each window of the holdout stands to all other windows as a new one will stand to the holdout."""
    counts = np.asarray([np.bincount(bins[part], minlength=n_bins) for part in parts], dtype=np.float64)
    sums = np.asarray([np.bincount(bins[part], weights=values[part], minlength=n_bins) for part in parts])
    squares = np.asarray([np.bincount(bins[part], weights=values[part] ** 2, minlength=n_bins) for part in parts])
    n, total = np.maximum(counts.sum(axis=0), 1.0), sums.sum(axis=0)
    spreads = np.sqrt(np.maximum(squares.sum(axis=0) / n - (total / n) ** 2, LEAST_SPREAD**2))
    others = np.maximum(counts.sum(axis=0) - counts, 1.0)
    totals = (sums - counts * (total - sums) / others).sum(axis=1)
    variances = (counts * spreads**2).sum(axis=1)
    rows = counts.sum(axis=1)
    enough = rows >= LEAST_IN_BIN
    excess = (totals[enough] ** 2 - variances[enough]).sum() / max(float((rows[enough] ** 2).sum()), 1.0)
    stream = Expected(
        name=name, means=_shorts(total / n), spreads=_shorts(spreads), between=_short(math.sqrt(max(float(excess), 0.0))),
        alike=_alike(totals[enough], (variances * (1.0 + rows / np.maximum(rows.sum() - rows, 1.0)))[enough]),
    )  # fmt: skip
    measured = zip(totals[enough].tolist(), variances[enough].tolist(), rows[enough].astype(int).tolist(), strict=True)
    scores = tuple(score(stream, Departure(*one)) for one in measured)
    return msgspec.structs.replace(stream, windows=scores)


def _alike(totals: Floats, variances: Floats) -> bool:
    """Chi-square of the windows' departures, each in what its rows vary by."""
    from scipy.special import chdtrc

    return bool(totals.size >= FEWEST_WINDOWS and chdtrc(totals.size, float((totals**2 / variances).sum())) > UNLIKE)


def _block(found: tuple[Expected, ...]) -> int:
    """Windows to judge together, from the base rate's and the loss's own dependence; 1 where it is not seen beyond chance."""
    longest = 1
    for stream in found[:2]:
        series = np.asarray(stream.windows)
        if series.size < LEAST_FOR_DEPENDENCE:
            continue
        ranks = series.argsort().argsort()
        if np.corrcoef(ranks[1:], ranks[:-1])[0, 1] > 2.0 / math.sqrt(series.size):
            longest = max(longest, min(dependence.block_length(series), series.size // LEAST_BLOCKS))
    return longest


def _notes(in_time: bool, windows: int) -> tuple[str, ...]:  # noqa: FBT001 - a property of the cut
    if not in_time:
        return (
            f"The holdout spans fewer than {FEWEST_WINDOWS} windows of time: it was cut into {windows} blocks, which do not show how days differ.",
        )
    if windows < LEAST_BLOCKS:
        return (f"Only {windows} windows of the holdout tell what is normal: concept drift is alarmed late while there are few.",)
    return ()


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _shorts(values: Floats) -> tuple[float, ...]:
    return tuple(_short(value) for value in values.tolist())
