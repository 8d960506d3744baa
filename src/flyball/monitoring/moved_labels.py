"""What moved, told from labels: other rows, other shares of labels, or other labels for the same rows; and labels that no world makes.

Which kind of shift it is can be told where rows of both sides have labels, and not without: with p(label | answer) as it was, other rows came; with
p(answer | label) as it was, classes became more or less frequent (Saerens et al. 2002; Lipton et al. 2018: an answer stands for the row). Where both
moved, the same rows have other labels. Bins of the answer stand for rows: a mix that shifts within a bin looks as if its labels had changed, as in
monitoring/concept.py; the doubly robust `concept` part of causes does not have that weakness.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import calibration, slices
from flyball.monitoring.estimates import EstimationReference
from flyball.monitoring.slices import Binned
from flyball.stats import logistic
from flyball.stats.intraclass import intraclass
from flyball.stats.table_shift import TableShift, table_shift

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ANSWERS, CLASSES = 5, 8
"""Bins of an answer, equally filled on the holdout; classes with a cell of their own, the most frequent ones."""
FEWEST = 100
"""Labelled rows of a side without which nothing is told."""
FEWEST_IN_SLICE = 12
"""Rows. What is asked of them is how unlikely their labels are, so few may do; with fewer a slope is none."""
IMPOSSIBLE = 1e-6
"""Chance, over all slices that are looked at and windows in which it may have begun, below which labels are no chance."""
TURNED = 3.0
"""Standard errors by which labels have to fall where answers rise."""
FAR = 0.25
"""From one half: where answers lie so far to one side, labels that lie as far to the other need no slope to tell that they are turned."""
NEARLY = 0.8
"""Of what a line through log odds gains over the answers: so much must turning them round gain."""
LASTS, MOSTLY = 2, 0.75
"""Windows with so many of its rows in which labels must be turned, and the share of all such windows: rows of a stormy day are late together, whatever their
number, while a pipe that turns labels turns them every day."""
LASTS_LATE, EACH = 3, 3.0
"""The same where rows before it were labelled well: so many windows up to the newest, in each of which labels are turned with odds of 20 to 1 (as a logarithm).
Of the other rows it must be shown with the same odds that they are not.
Days of storms follow one another: that most are late then, or none are after them, is weather, and only labels that fall where answers rise tell of a pipe."""
TOGETHER = 0.05
"""Intraclass correlation of lying in the slice, between rows of one window of the holdout. What is above it comes and goes with days (weather, a season): its
rows share what happened then, so that most of their labels are on the other side is a storm's doing, too, and only their order tells of a pipe."""
SURELY = 0.01
"""Chance that rows in any order seem as much alike."""
ELSEWHERE = 0.25
"""Of the slice's own: so much may labels of the other rows have left their answers, at most."""


class Sides(NamedTuple):
    """Rows with labels: those since something began."""

    columns: Mapping[str, Any]
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    blocks: Ints
    """Number of each row's window."""


class LabelFault(msgspec.Struct, frozen=True, kw_only=True):
    where: str
    words: str


def moved(reference: EstimationReference, now: Sides) -> TableShift | None:
    """Rows of the table: bins of the answer; columns: labels. None: too few labelled rows on a side."""
    scores, labels = np.asarray(reference.scores, dtype=np.float64), np.asarray(reference.labels, dtype=np.float64)
    has = np.isfinite(now.labels)
    if min(labels.size, int(has.sum())) < FEWEST:
        return None
    answers = _answers(reference.task, scores, now.scores[has])
    truths = _truths(reference.task, labels, now.labels[has])
    shape = (max(side.max() for side in answers) + 1, max(side.max() for side in truths) + 1)
    before, after = (
        _counted(*each, shape) for each in zip((np.asarray(reference.blocks), now.blocks[has]), answers, truths, strict=True)
    )
    return table_shift(before, after)


def _answers(task: str, before: Floats, now: Floats) -> tuple[Ints, Ints]:
    if task == "multiclass":  # the class that is answered: no other bins are needed to tell label shift (Lipton et al. 2018)
        return _frequent(before.argmax(axis=1), now.argmax(axis=1))
    coordinate = calibration.coordinate("binary", before)
    edges = np.unique(np.quantile(coordinate, np.arange(1, ANSWERS) / ANSWERS, method="inverted_cdf"))
    return tuple(np.searchsorted(edges, calibration.coordinate("binary", side), side="left") for side in (before, now))  # type: ignore[return-value]


def _truths(task: str, before: Floats, now: Floats) -> tuple[Ints, Ints]:
    if task != "regression":
        return _frequent(before.astype(np.int64), now.astype(np.int64))
    edges = np.unique(np.quantile(before, np.arange(1, ANSWERS) / ANSWERS, method="inverted_cdf"))
    return np.searchsorted(edges, before, side="left"), np.searchsorted(edges, now, side="left")


def _frequent(before: Ints, now: Ints) -> tuple[Ints, Ints]:
    """Places among the most frequent classes; others share one."""
    counts = np.bincount(before)
    named = np.argsort(-counts, kind="stable")[: min(CLASSES, counts.size)]
    places = np.full(max(int(before.max()), int(now.max())) + 1, named.size)
    places[named] = np.arange(named.size)
    return places[before], places[now]


def _counted(blocks: Ints, answers: Ints, truths: Ints, shape: tuple[int, int]) -> Ints:
    """(n_blocks, n_answers, n_truths)"""
    number = np.unique(blocks, return_inverse=True)[1]
    table = np.zeros((number.max() + 1, *shape), dtype=np.int64)
    np.add.at(table, (number, answers, truths), 1)
    return table


# -- labels that no world makes


class _Slice(NamedTuple):
    words: str
    inside: Bools
    """Of rows now."""
    before: Bools
    """Of the holdout's."""


def label_fault(reference: EstimationReference, features: tuple[Binned, ...], now: Sides) -> LabelFault | None:
    """A slice of one condition whose labels are turned round, or all the same, while those of the other rows are not; two classes only.

    A world that changes moves labels towards or away from the answers; one that turns them round within the bounds of a column's value, and there alone,
    is a pipe. It is evidence and no proof: a person decides.
    """
    has = np.isfinite(now.labels)
    names = {feature.name for feature in features}
    if reference.task != "binary" or int(has.sum()) < FEWEST or not names <= {*now.columns} & {*reference.columns}:
        return None
    scores, labels, blocks = now.scores[has, 0], now.labels[has], now.blocks[has]
    codes = slices.codes_of(features, {name: np.asarray(values)[has] for name, values in now.columns.items() if name in names})
    known = slices.codes_of(features, {name: np.asarray(reference.columns[name]) for name in names})
    looked_at = [each for each in _slices(features, codes, known) if FEWEST_IN_SLICE <= each.inside.sum() <= 0.5 * labels.size]
    found = []
    for each in looked_at:
        since = _turned_since(scores[each.inside], labels[each.inside], blocks[each.inside])
        if since is None:
            continue
        late = bool(blocks.min() < since)
        tests = len(looked_at) * (np.unique(blocks).size if late else 1)
        inside = each.inside & (blocks >= since)
        of = scores[inside], labels[inside]
        by_level = not (late or _together(each, np.asarray(reference.blocks)))
        if how := (by_level and _same(*of, tests)) or _turned(*of, blocks[inside], tests, by_level=by_level):
            found.append((_gain(*of), each.words, inside, ~each.inside & (blocks >= since), how))
    for _, where, inside, outside, how in sorted(found, key=lambda item: -item[0])[:1]:
        if _is_elsewhere(scores, labels, inside, outside):
            words = f"labels of {where} ({int(inside.sum())} rows) {how}, and those of other rows are not"
            return LabelFault(where=where, words=words)
    return None


def _is_elsewhere(scores: Floats, labels: Floats, inside: Bools, outside: Bools) -> bool:
    """Whether other rows have labels as they were answered. It has to be shown of themselves: turned round everywhere, those of a slice whose answers are sure
    depart by far more than those of rows whose answers are not."""
    elsewhere, here = (_departure(scores[side], labels[side]) for side in (outside, inside))
    return elsewhere <= ELSEWHERE * here and _gain(scores[outside], labels[outside]) <= -EACH


def _slices(features: tuple[Binned, ...], codes: Any, known: Any) -> Iterator[_Slice]:
    for place, feature in enumerate(features):
        for condition in slices.conditions_of(feature, place):
            of = (condition,)
            yield _Slice(slices.words_of(features, of), slices.chosen(of, codes), slices.chosen(of, known))


def _together(of: _Slice, blocks: Ints) -> bool:
    """Surely: where rows of the holdout are few, it is not told, and they are taken to come in any order."""
    alike = intraclass(of.before, blocks)
    return alike.correlation > TOGETHER and alike.p < SURELY


def _gain(scores: Floats, labels: Floats) -> float:
    """Log-likelihood of the answers turned round, over that of the answers: below 0 where nothing happened to labels."""
    return _likelihood(1.0 - scores, labels) - _likelihood(scores, labels)


def _turned_since(scores: Floats, labels: Floats, blocks: Ints) -> int | None:
    """The first window from which on labels are turned, window by window, wherever there are rows enough to tell: the first of all, or a later one, for rows
    before it were right and would hide the others. None: there is none, or it does not last."""
    windows = [(int(number), blocks == number) for number in np.unique(blocks)]
    told = [(number, _gain(scores[one], labels[one]), labels[one]) for number, one in windows if one.sum() >= FEWEST_IN_SLICE]
    turned = sum(gain > 0.0 or bool(of.min() == of.max()) for _, gain, of in told)
    if turned >= max(LASTS, MOSTLY * len(told)):
        return int(blocks.min())
    first = len(told)
    while first and told[first - 1][1] >= EACH:
        first -= 1
    return told[first][0] if len(told) - first >= LASTS_LATE else None


def _likelihood(p: Floats, labels: Floats) -> float:
    bounded = np.clip(p, 1e-3, 1.0 - 1e-3)  # without it one label against a score of 0 or 1 would decide alone
    return float((labels * np.log(bounded) + (1.0 - labels) * np.log(1.0 - bounded)).sum())


def _same(scores: Floats, labels: Floats, looked_at: int) -> str:
    if labels.min() != labels.max():
        return ""
    p = np.clip(scores if labels[0] == 1.0 else 1.0 - scores, 1e-6, 1.0)
    return "are all the same" if np.log(p).sum() < np.log(IMPOSSIBLE / looked_at) else ""


def _turned(scores: Floats, labels: Floats, blocks: Ints, looked_at: int, *, by_level: bool) -> str:
    """Labels fall where answers rise, or (`by_level`) have gone from few to most; and answers turned round tell them nearly as well as any line through log
    odds."""
    gain = _gain(scores, labels)
    if gain < -np.log(IMPOSSIBLE / looked_at):
        return ""
    falls = _falls(scores, labels, blocks)
    told_by_level = by_level and abs(float(scores.mean()) - 0.5) >= FAR
    columns = np.column_stack((np.ones(scores.size), logistic.logit(scores)))
    line = logistic.expit(columns @ logistic.fit(columns, labels, np.ones(labels.size), [0.0, 0.0], 1e-3))
    if not (falls or told_by_level) or gain < NEARLY * (_likelihood(line, labels) - _likelihood(scores, labels)):
        return ""
    more = ", and the fewer the more were" if falls else ""
    return f"are turned round: {100 * labels.mean():.0f} % are positive where {100 * scores.mean():.0f} % were answered{more}"


def _falls(scores: Floats, labels: Floats, blocks: Ints) -> bool:
    """Surely, within windows: each has a level of its own, since a day that went better than was answered and one that went worse are weather, and make
    labels of both together fall where answers rise."""
    number = np.unique(blocks, return_inverse=True)[1]
    columns = np.column_stack((np.eye(number.max() + 1)[number], logistic.logit(scores)))
    k = columns.shape[1]
    line = logistic.fit(columns, labels, np.ones(labels.size), np.zeros(k), 1e-3)
    p = logistic.expit(columns @ line)
    error = np.sqrt(np.linalg.inv((columns * (p * (1.0 - p))[:, None]).T @ columns + 1e-3 * np.eye(k))[-1, -1])
    return bool(line[-1] + TURNED * error < 0.0)


def _departure(scores: Floats, labels: Floats) -> float:
    """How much worse labels are told than the answers promise, a row."""
    p = np.clip(scores, 1e-3, 1.0 - 1e-3)
    said = -(labels * np.log(p) + (1.0 - labels) * np.log(1.0 - p)).mean()
    return float(max(said + (p * np.log(p) + (1.0 - p) * np.log(1.0 - p)).mean(), 0.0))
