"""Labels that only some predictions get: seen, named, corrected where that can be done, and refused where it cannot.

Compared are rows of one mature window, so all had the time: those with a label and those without. They should not differ in what was known when they were
answered. Where they differ in the score (or a feature), the labelled are weighted by one over the share of labels in their stratum (inverse propensity;
Rosenbaum & Rubin 1984), which is right if within a stratum the label's presence says nothing of the outcome (missing at random) and if every stratum has labels.
Refused: kinds of rows (nearly) without labels, where they are more than LEAST_EFFECT of all; labels of one class where the scores promise others; labels
that contradict the scores among selected rows, where a changed world and labels chosen by their outcome look the same. Not seen: labels chosen by an outcome
that the model knows nothing of.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring.live import WindowRows
from flyball.monitoring.realised import Weighting
from flyball.records.signature import Task
from flyball.stats.homogeneity import homogeneity_p
from flyball.stats.hypergeometric import exact_p

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALPHA = 0.001
"""Chance of calling a window's labels selective when they are not; over the score and all features."""
LEAST_EFFECT = 0.05
"""Difference of the labelled share between strata that is worth a word: below it the weights differ by so little that the metric does not move."""
COMPLETE = 0.99
STRATA = 10
LEAST_SHARE = 0.1
"""Labelled share of a kind of rows, below which it counts as not seen: a label stands for ten at most."""
SCORE = "the score"
MOST_SUBJECTS = 3
"""The score and features by which rows are stratified together: with more, strata are too thin to weigh anything."""
LEAST_LABELS = 10
"""Of each stratum: those with fewer are put together."""
ONE_CLASS = 1e-4
"""Chance, by the scores, that all labelled rows are of the one class that they are."""
OFF = 0.15
"""Difference between a stratum's labels and its scores that no usual miscalibration explains."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["none", "corrected", "refused"]
    subject: str = ""
    """What the labels hang on: `the score`, `feature NAME`, several of them; or `class`, `outcome`, `arm`."""
    share: float = 1.0
    """Of the rows, labelled."""
    p: float = 1.0
    words: str = ""
    sampled: bool = False
    """Weighed are the rows that features are known of, and no others."""
    hang_on: tuple[str, ...] = ()
    """What this window's labels show to hang on, for the next windows."""


class Features(NamedTuple):
    """What was known of rows, beside their scores."""

    columns: Mapping[str, npt.ArrayLike]
    """Name → (n_known,) numbers or texts."""
    among: Ints | None = None
    """(n_known,) places of the rows that they are known of, among all; None: of all, in their order."""


NO_FEATURES = Features({})


class Strata(NamedTuple):
    """Rows among which labels look as if they came at random."""

    of: Ints
    """(n_rows,)"""
    subjects: tuple[str, ...]
    """What makes them."""
    groups: tuple[Ints, ...]
    """Each of those alone, (n_rows,)."""
    tested: tuple[str, ...]
    """Of the subjects those that these rows show."""
    p: float
    """The least one seen on the way."""


def selection(
    task: Task,
    rows: WindowRows,
    features: Features = NO_FEATURES,
    known: Sequence[str] = (),
    *,
    classes: Sequence[str] = (),
    probabilities: bool = True,
) -> tuple[Selection, Weighting | None]:
    """Of a mature window's rows; the weighting is of its labelled rows, in their order, or of those of `features.among` (`sampled`).

    `known`: what labels of windows before hung on (`hang_on`): rows are weighted by it, too, where these are too few to show it.
    `classes`: what to call those that labels are indices of; without them, their index.
    `probabilities`: the scores are meant as chances, so labels can contradict them; False where the model is known to be uncalibrated.
    """
    has = np.isfinite(rows.labels)
    n, labelled = has.size, int(has.sum())
    share = labelled / n if n else 0.0
    if labelled == 0 or share >= COMPLETE:
        return Selection(kind="none", share=_short(share)), None
    why = _one_class(task, rows, has, classes) if task != "regression" else ""
    if why:
        return Selection(
            kind="refused", subject="class", share=_short(share), p=ONE_CLASS, words=f"{why}. {_bounds(share)}"
        ), None
    if labelled < 2 * LEAST_LABELS:
        return Selection(
            kind="none", share=_short(share), words=f"{labelled} labels are too few to tell whether they are selective"
        ), None
    found, among = _hang(rows, _by_score(task, rows.scores), features, known)
    if not found.subjects:
        return Selection(kind="none", share=_short(share), p=_short(found.p)), None
    kept = rows if among is None else of_places(rows, among)
    contradictable = probabilities and task != "regression"
    told, weighting = _weighed(task, kept, found, _told(found, rows, among), contradictable=contradictable)
    return msgspec.structs.replace(told, share=_short(share), sampled=among is not None), weighting


def _hang(rows: WindowRows, score: Ints, features: Features, known: Sequence[str]) -> tuple[Strata, Ints | None]:
    """Strata by what labels hang on, and of which rows (None: of all). Where features are known of some rows only, those are asked of the features, and all of
    the score: with many rows a difference is seen that a sample does not show."""
    has, among = np.isfinite(rows.labels), features.among
    tests = 1 + len(features.columns)
    left = {f"feature {name}": _bins(np.asarray(values)) for name, values in features.columns.items()}
    if among is None:
        return _strata({SCORE: score} | left, has, tests, known), None
    if left and int(has[among].sum()) >= 2 * LEAST_LABELS:
        found = _strata({SCORE: score[among]} | left, has[among], tests, known)
        if {*found.subjects} - {SCORE}:
            return found, among
    return _strata({SCORE: score}, has, tests, known), None


def _told(found: Strata, rows: WindowRows, among: Ints | None) -> str:
    has, subjects = np.isfinite(rows.labels), " and ".join(found.subjects)
    hang = f"labels hang on {subjects} (p {found.p:.1g})" if found.tested else f"labels hung on {subjects} in windows before"
    return f"{hang}: {int(has.sum())} of {has.size} rows have one" + (
        "" if among is None or among.size == has.size else f", features of {among.size} were looked at"
    )


def _weighed(
    task: Task, rows: WindowRows, found: Strata, words: str, *, contradictable: bool
) -> tuple[Selection, Weighting | None]:
    """Of labels that hang on something: weights, or why there are none."""
    has, subject = np.isfinite(rows.labels), " and ".join(found.subjects)
    refused = Selection(kind="refused", subject=subject, p=_short(found.p), hang_on=found.tested)
    bounds = _bounds(float(has.mean()))
    unseen = _unseen((*found.groups, found.of), has)
    inverse = _merged(found.of, has)
    if unseen > LEAST_EFFECT * has.size:
        words = f"{words}, and {unseen} rows are of kinds that get hardly any: what is not seen cannot be weighed up. {bounds}"
        return msgspec.structs.replace(refused, words=words), None
    if not inverse.any():
        return msgspec.structs.replace(refused, words=f"{words}, too few of each kind to be weighed up. {bounds}"), None
    why = _contradicts(task, rows, has, inverse) if contradictable else ""
    if why:
        words = f"{words}, and {why}: the world has changed, or labels are chosen by their outcome. {bounds}"
        return msgspec.structs.replace(refused, subject="outcome", words=words), None
    size, with_label = np.bincount(inverse), np.bincount(inverse, weights=has)
    words = f"{words}; weighted by the inverse share of labels among like rows, taking presence and outcome as independent within them"
    log_sd = np.sqrt(np.maximum(1.0 - with_label / size, 0.0) / with_label)
    weighting = Weighting((size / with_label)[inverse][has], inverse[has], log_sd, words)
    return msgspec.structs.replace(refused, kind="corrected", words=words), weighting


def _unseen(groupings: Iterable[Ints], has: npt.NDArray[np.bool_]) -> int:
    """Rows of kinds that get hardly any label, by each grouping alone and by all together: strata of all may be too small to show it."""
    unseen = np.zeros(has.size, dtype=np.bool_)
    for groups in groupings:
        size, with_label = np.bincount(groups), np.bincount(groups, weights=has)
        unseen |= ((size >= LEAST_LABELS) & (with_label < LEAST_SHARE * size))[groups]
    return int(unseen.sum())


def _merged(strata: Ints, has: npt.NDArray[np.bool_]) -> Ints:
    """Strata with too few labels put together with the next ones: without a label a stratum's rows would be missing, and with few its weight be a guess."""
    with_label = np.bincount(strata, weights=has)
    group, place, labels = np.zeros(with_label.size, dtype=np.int64), 0, 0.0
    for stratum, more in enumerate(with_label.tolist()):
        if labels >= LEAST_LABELS:
            place, labels = place + 1, 0.0
        group[stratum] = place
        labels += more
    if labels < LEAST_LABELS:  # the last ones
        group = np.minimum(group, max(place - 1, 0))
    return group[strata]


def of_places(rows: WindowRows, places: Ints) -> WindowRows:
    return WindowRows(rows.at_us[places], rows.received_us[places], rows.scores[places], rows.labels[places])


def arms(counts: Mapping[str, tuple[int, int]]) -> Selection:
    """Of units that answered in the same time, (rows, of them labelled): whether labels come for one as for the other. Compared must not be what does not."""
    rows = np.array([n for n, _ in counts.values()])
    labelled = np.array([k for _, k in counts.values()])
    total, with_label = int(rows.sum()), int(labelled.sum())
    share = with_label / total if total else 0.0
    if not total:
        return Selection(kind="none", share=0.0)
    # each against the others, exactly: of a canary's few rows hardly any label is expected, and no normal law holds
    each = [exact_p(k, n, with_label, total) for n, k in counts.values()]
    p = min(1.0, min(each, default=1.0) * (len(each) if len(each) > 2 else 1))
    of = labelled / np.maximum(rows, 1)
    if p >= ALPHA or of.max(initial=0.0) - of.min(initial=1.0) < LEAST_EFFECT:
        return Selection(kind="none", share=_short(share), p=_short(p))
    told = ", ".join(f"{name} {k} of {n}" for name, (n, k) in sorted(counts.items()))
    words = f"labels come for one unit and not for the other ({told}): a comparison would be of different rows"
    return Selection(kind="refused", subject="arm", share=_short(share), p=_short(p), words=words)


def _by_score(task: Task, scores: Floats) -> Ints:
    if task != "multiclass":
        return _bins(scores[:, 0])
    confidence = scores.max(axis=1)
    return np.asarray(np.argmax(scores, axis=1) * 2 + (confidence >= np.median(confidence)), dtype=np.int64)


def _bins(values: npt.NDArray[np.generic]) -> Ints:
    """Tenths of numbers, the commonest texts; what is missing is a stratum of its own."""
    if values.dtype.kind in "fiub":
        numbers = values.astype(np.float64)
        known = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.arange(1, STRATA - 1) / (STRATA - 1))) if known.size else known
        return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="right"), STRATA - 1).astype(np.int64)
    texts, inverse, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    rank = np.empty(texts.size, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(texts.size)
    return np.minimum(rank[inverse], STRATA - 1)


def _strata(left: dict[str, Ints], has: npt.NDArray[np.bool_], tests: int, known: Sequence[str]) -> Strata:
    """Strata within which labels look as if they came to rows at random. `left`: what may make them; `tests`: by how many p-values are multiplied
    (Bonferroni); `known`: of `left`, what makes them anyhow."""
    strata = np.zeros(has.size, dtype=np.int64)
    subjects: dict[str, Ints] = {}
    least = 1.0
    while left and len(subjects) < MOST_SUBJECTS:
        tested = [(*_tested(groups, strata, has), name) for name, groups in left.items()]
        worth = [(p * tests, -effect, name) for p, effect, name in tested if effect >= LEAST_EFFECT and p * tests < ALPHA]
        least = min(least, *(p * tests for p, _, _ in tested))
        if not worth:
            break
        name = min(worth)[2]
        subjects[name] = left.pop(name)
        strata = _within(strata, subjects[name])
    shown = tuple(subjects)
    for name in [name for name in known if name in left][: MOST_SUBJECTS - len(shown)]:
        subjects[name] = left[name]
        strata = _within(strata, subjects[name])
    return Strata(strata, tuple(subjects), tuple(subjects.values()), shown, least)


def _within(strata: Ints, groups: Ints) -> Ints:
    return np.asarray(np.unique(strata * (int(groups.max()) + 1) + groups, return_inverse=True)[1], dtype=np.int64)


def _tested(groups: Ints, strata: Ints, has: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """(p-value within strata, largest difference between groups of some size of the labelled share beyond what strata explain)"""
    shape = (int(strata.max()) + 1, int(groups.max()) + 1)
    cell = strata * shape[1] + groups
    rows = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    labelled = np.bincount(cell, weights=has, minlength=shape[0] * shape[1]).reshape(shape)
    beyond = (labelled - rows * (labelled.sum(axis=1) / np.maximum(rows.sum(axis=1), 1))[:, None]).sum(axis=0)
    some = rows.sum(axis=0) >= LEAST_LABELS
    share = beyond[some] / rows.sum(axis=0)[some]
    return homogeneity_p(labelled, rows), float(np.ptp(share)) if share.size else 0.0


def _one_class(task: Task, rows: WindowRows, has: npt.NDArray[np.bool_], classes: Sequence[str]) -> str:
    labels = rows.labels[has].astype(np.int64)
    if np.any(labels != labels[0]):
        return ""
    table = rows.scores[has]
    chance = table[:, labels[0]] if task == "multiclass" else np.where(labels == 1, table[:, 0], 1.0 - table[:, 0])
    if float(np.log(np.clip(chance, 1e-12, 1.0)).sum()) > np.log(ONE_CLASS):
        return ""
    name = classes[labels[0]] if classes else labels[0]
    return f"all {labels.size} labels are of class {name}, where the scores promise {float((1.0 - chance).sum()):.0f} of others: only one outcome is told"


def _contradicts(task: Task, rows: WindowRows, has: npt.NDArray[np.bool_], strata: Ints) -> str:
    """Labels against scores, class by class and stratum by stratum, all of them together with chance ALPHA (Bonferroni) where scores are the chances they say."""
    table, labels = rows.scores[has], rows.labels[has]
    sizes = np.bincount(strata[has])
    level = ALPHA / (table.shape[1] * np.count_nonzero(sizes))
    for k in range(table.shape[1]):
        off = np.bincount(strata[has], weights=(labels == (1 if task != "multiclass" else k)) - table[:, k])
        variance = np.bincount(strata[has], weights=table[:, k] * (1.0 - table[:, k]))
        for n, sum_off, spread in zip(sizes.tolist(), off.tolist(), variance.tolist(), strict=True):
            if n and abs(sum_off) > OFF * n and 2.0 * _tail(abs(sum_off), spread) < level:
                return f"{n} labels of like score are off by {sum_off / n:+.2f}"
    return ""


def _tail(off: float, variance: float) -> float:
    """The chance at most that a sum of independent events exceeds its mean by `off` (Bennett 1962): it holds for few and rare ones, too, where the normal's is far
    too small."""
    if variance <= 0.0:
        return 0.0
    u = off / variance
    return float(np.exp(-variance * ((1.0 + u) * np.log1p(u) - u)))


def _bounds(share: float) -> str:
    """Manski's worst case (American Economic Review 80, 1990)."""
    return f"The rows without a label can move a mean loss in [0, 1] by up to {1.0 - share:.2f}"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
