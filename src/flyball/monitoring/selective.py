"""Labels that only some predictions get: seen, named, corrected where that can be done, and refused where it cannot.

Compared are rows of one mature window, so all had the time: those with a label and those without. They should not differ in what was known when they were
answered. Where they differ in the score (or a feature), the labelled are weighted by one over the share of labels in their stratum (inverse propensity;
Rosenbaum & Rubin 1984), which is right if within a stratum the label's presence says nothing of the outcome (missing at random) and if every stratum has labels.
Refused: a stratum (nearly) without labels; labels of one class where the scores promise others; labels that contradict the scores among selected rows,
where a changed world and labels chosen by their outcome look the same. Not seen: labels chosen by an outcome that the model knows nothing of.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring.live import WindowRows
from flyball.monitoring.realised import Weighting
from flyball.records.signature import Task
from flyball.stats.homogeneity import homogeneity_p

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALPHA = 0.001
"""Chance of calling a window's labels selective when they are not; over the score and all features."""
LEAST_EFFECT = 0.05
"""Difference of the labelled share between strata that is worth a word: below it the weights differ by so little that the metric does not move."""
COMPLETE = 0.99
STRATA = 10
LEAST_SHARE = 0.05
"""Labelled share of a stratum: a label never stands for more than twenty."""
MOST_SUBJECTS = 3
"""The score and features by which rows are stratified together: with more, strata are too thin to weigh anything."""
LEAST_LABELS = 10
"""Of each stratum."""
ONE_CLASS = 1e-4
"""Chance, by the scores, that all labelled rows are of the one class that they are."""
OFF = 0.15
"""Difference between a stratum's labels and its scores that no usual miscalibration explains."""
OFF_ERRORS = 4.5
"""And so many standard errors."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["none", "corrected", "refused"]
    subject: str = ""
    """What the labels hang on: `the score`, `feature NAME`, several of them; or `class`, `outcome`, `arm`."""
    share: float = 1.0
    """Of the rows, labelled."""
    p: float = 1.0
    words: str = ""


def selection(
    task: Task,
    rows: WindowRows,
    features: Mapping[str, npt.ArrayLike] | None = None,
    *,
    classes: Sequence[str] = (),
    probabilities: bool = True,
) -> tuple[Selection, Weighting | None]:
    """Of a mature window's rows; the weighting is of its labelled rows, in their order. `features`: name → (n_rows,) numbers or texts.

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
    strata, subjects, p = _strata(task, rows, features or {}, has)
    if not subjects:
        return Selection(kind="none", share=_short(share), p=_short(p)), None
    subject = " and ".join(subjects)
    told = f"labels hang on {subject} (p {p:.1g}): {labelled} of {n} rows have one"
    of, inverse = np.unique(strata, return_inverse=True)
    size, with_label = np.bincount(inverse), np.bincount(inverse, weights=has)
    thin = (with_label < np.minimum(LEAST_LABELS, size)) | (with_label < LEAST_SHARE * size)
    if np.any(thin & (size >= LEAST_LABELS)) or of.size < 2:
        words = f"{told}, and {int(size[thin].sum())} rows are of kinds that get hardly any: what is not seen cannot be weighed up. {_bounds(share)}"
        return Selection(kind="refused", subject=subject, share=_short(share), p=_short(p), words=words), None
    weights = (size / np.maximum(with_label, 1.0))[inverse][has]
    if task != "regression" and probabilities:
        why = _contradicts(task, rows, has, strata)
        if why:
            words = f"{told}, and {why}: the world has changed, or labels are chosen by their outcome. {_bounds(share)}"
            return Selection(kind="refused", subject="outcome", share=_short(share), p=_short(p), words=words), None
    words = (
        f"{told}; weighted by the inverse share of labels among like rows, taking presence and outcome as independent within them"
    )
    log_sd = np.sqrt(np.maximum(1.0 - with_label / size, 0.0) / np.maximum(with_label, 1.0))
    corrected = Selection(kind="corrected", subject=subject, share=_short(share), p=_short(p), words=words)
    return corrected, Weighting(weights, inverse[has], log_sd, words)


def arms(counts: Mapping[str, tuple[int, int]]) -> Selection:
    """Of units that answered in the same time, (rows, of them labelled): whether labels come for one as for the other. Compared must not be what does not."""
    rows = np.array([n for n, _ in counts.values()])
    labelled = np.array([n for _, n in counts.values()])
    share = float(labelled.sum() / rows.sum()) if rows.sum() else 0.0
    p = homogeneity_p(labelled, rows)
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


def _strata(
    task: Task, rows: WindowRows, features: Mapping[str, npt.ArrayLike], has: npt.NDArray[np.bool_]
) -> tuple[Ints, tuple[str, ...], float]:
    """Strata within which labels look as if they came to rows at random, what makes them, and the least p-value (Bonferroni) seen on the way."""
    strata = np.zeros(has.size, dtype=np.int64)
    subjects: tuple[str, ...] = ()
    left = {"the score": _by_score(task, rows.scores)} | {
        f"feature {name}": _bins(np.asarray(values)) for name, values in features.items()
    }
    tests, least = len(left), 1.0
    while left and len(subjects) < MOST_SUBJECTS:
        tested = [(*_tested(groups, strata, has), name) for name, groups in left.items()]
        worth = [(p * tests, -effect, name) for p, effect, name in tested if effect >= LEAST_EFFECT and p * tests < ALPHA]
        least = min(least, *(p * tests for p, _, _ in tested))
        if not worth:
            break
        name = min(worth)[2]
        strata = np.unique(strata * (int(left[name].max()) + 1) + left.pop(name), return_inverse=True)[1].astype(np.int64)
        subjects = (*subjects, name)
    return strata, subjects, least


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
    """Labels against scores, class by class and stratum by stratum."""
    table, labels = rows.scores[has], rows.labels[has]
    for k in range(table.shape[1]):
        residual = (labels == (1 if task != "multiclass" else k)) - table[:, k]
        variance = table[:, k] * (1.0 - table[:, k])
        for stratum in np.unique(strata[has]):
            mine = strata[has] == stratum
            off, error = float(residual[mine].mean()), float(np.sqrt(variance[mine].sum())) / int(mine.sum())
            if abs(off) > OFF and abs(off) > OFF_ERRORS * error:
                return f"{int(mine.sum())} labels of like score are off by {off:+.2f}"
    return ""


def _bounds(share: float) -> str:
    """Manski's worst case (American Economic Review 80, 1990)."""
    return f"The rows without a label can move a mean loss in [0, 1] by up to {1.0 - share:.2f}"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
