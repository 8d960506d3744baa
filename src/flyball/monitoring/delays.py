"""How late labels come: learned from counts of ages, right-censored, and honest about a delay that changes.

Two curves. `come`: of predictions, the share that has a label by an age (Kaplan–Meier); where it stays below 1, labels never come for some. `parts`: of the
labels that will come, the share that has come by an age, by label and score (right truncation): the weights of an immature window, and what tells when
it is mature. The class of an unlabelled row is unknown, so Kaplan–Meier cannot give the second one.

Assumed: what is not known of the young is as it was with the old (a prediction's delay does not depend on when it was made), within a stratum of label and
score. Tested where it can be: recent predictions against earlier ones. Where they differ, each age is learned from the recent ones as far as they are old
enough, and from the earlier ones beyond; `changed` says so. A time in which hardly a label came at all belongs to no delay (label_gaps.py).
Nothing is known beyond `reach`: there it is assumed that what comes at twice an age is no more than what came between half of it and the age (`tail`).
"""

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring import label_gaps
from flyball.monitoring.label_gaps import Cohorts, Gap
from flyball.monitoring.reference import Reference
from flyball.stats import kaplan_meier, right_truncation
from flyball.stats.age_grid import COHORT_US, EDGES_US, AgeCounts, completed_bins
from flyball.stats.label_strata import LabelStrata
from flyball.stats.log_rank import log_rank
from flyball.stats.student import t_quantile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LOOK_BACK_US = 400 * 24 * COHORT_US
"""Cohorts that are asked for: the grid ends after 364 days, and a fixed number of them costs the same for ever."""
LEAST_LABELS = 50
"""For a curve of its own, and behind its last step: with fewer the interval says nothing."""
CLUSTERS = (1, 6, 24, 7 * 24)
"""Cohorts (hours) taken together as one cluster, for variances: the widest of which there are ENOUGH. Labels that come in nightly batches share their luck."""
ENOUGH = 20
RECENT = 4
"""The latest quarter of the clusters is compared with those before."""
LEAST_RECENT = 7
"""Clusters: with fewer the test's t distribution is not trusted."""
CHANGE_ALPHA = 0.01
"""Chance of calling an unchanged delay changed at one look. What it costs is precision: fewer rows are learned from. It is no alarm."""
ALPHA = 0.05
OCTAVE = 3
"""Bins of the grid to the double age."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """At the edges of the grid (stats/age_grid.py) from 0 up to what is known."""

    n: int
    """Predictions, or labels, behind it."""
    share: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    log_sd: tuple[float, ...] = ()
    """Standard deviation of the share's logarithm."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    label: int
    """Stratum; -1: all."""
    score: int
    """Stratum; -1: all."""
    curve: Curve


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model's label delay. Kept in the ledger beside what was judged by it: about ten kB."""

    until_us: int
    rows: int
    labels: int
    reach: int
    """Edges known: the last one is EDGES_US[reach]. 0: nothing is known."""
    come: Curve
    by_score: tuple[tuple[float, ...], ...]
    """`come.share` of each stratum of the score."""
    parts: tuple[Part, ...]
    """The whole first, then labels, then labels by score where there are enough."""
    tail: float
    """Upper end of the share of labels that came in the last octave before `reach`: what may still come after it."""
    correlation: float
    """Between rows of one cluster, of whether a label has come: above 0 where labels come in batches."""
    changed: bool = False
    words: str = ""
    correlations: tuple[float, ...] = ()
    """The same at each edge: days that differ in how long labels take differ most where about half have come. Empty: of a release that took one for all."""
    cluster: float = 0.0
    """Rows of a usual cluster; 0: of such a release."""

    @property
    def ever(self) -> float:
        """Share of predictions that have a label by the largest age known."""
        return self.come.share[-1]


class _Lived(NamedTuple):
    """By cluster, of rows that have lived through a bin from end to end."""

    start: Ints
    """(n_clusters,)"""
    events: Ints
    """(n_clusters, n_label_strata, n_score_strata, n_bins)"""
    at_risk: Ints
    """(n_clusters, n_score_strata, n_bins) without a label at the bin's beginning."""
    by_then: Ints
    """As `events`: labels up to the bin's end."""
    rows: Ints
    """(n_clusters, n_bins)"""


def learn(counts: AgeCounts, now_us: int) -> Delays:
    """The delay as it is known at `now_us`, when all that was received by then is counted. Cohorts that come added up by `together` give the same."""
    rows, labels = int(counts.rows.sum()), int(counts.labels.sum())
    lived, gaps = _lived(counts, now_us)
    reach = int(np.flatnonzero(lived.by_then.sum(axis=(0, 1, 2)) >= LEAST_LABELS).max(initial=-1)) + 1
    if reach == 0:
        words = f"{labels} labels are too few, or too young, to learn their delay from: {LEAST_LABELS} are wanted"
        return _unknown(now_us, rows, labels, words)
    lived = _Lived(lived.start, *(part[..., :reach] for part in lived[1:]))
    changed, recent = _changed(lived)
    # Where hardly a label of recent predictions has come, what came of earlier ones is all that there is to learn from: spliced, nothing would come at their ages.
    dried_up = changed and int(lived.events[recent].sum()) < LEAST_LABELS
    lived = _spliced(lived, recent) if changed and not dried_up else lived
    survival = kaplan_meier.kaplan_meier(lived.events.sum(axis=(1, 2)), lived.at_risk.sum(axis=1))
    parts = _parts(lived)
    whole = parts[0].curve
    size = _size(lived)
    correlations = _correlations(survival, size)
    told = Delays(
        until_us=now_us,
        rows=rows,
        labels=labels,
        reach=reach,
        come=_come(survival, rows),
        by_score=_by_score(lived),
        parts=parts,
        tail=_short(1.0 - whole.lower[max(reach - OCTAVE, 0)]),
        correlation=_short(float(np.median(correlations))),
        correlations=_shorts(correlations),
        cluster=_short(size),
        changed=changed or bool(gaps and gaps[-1].until_us >= now_us),
    )
    return msgspec.structs.replace(told, words=_words(told, gaps, dried_up=dried_up))


def strata_of(reference: Reference) -> LabelStrata:
    """By which a model's ages are counted: quarters of the scores that the reference saw, and of two classes the threshold that tells right from wrong.

    Numbers are sorted by the same bounds on both sides: labels lie where predictions do."""
    if reference.task == "multiclass":
        return LabelStrata(reference.task, len(reference.classes))
    edges = next((stream.edges for stream in reference.streams if stream.role == "prediction"), ())
    inner = edges[1:-1]
    quarters = {inner[round(part * (len(inner) - 1))] for part in (0.25, 0.5, 0.75)} if inner else set()
    bounds = tuple(sorted(quarters | ({reference.threshold} if reference.task == "binary" else set())))
    return LabelStrata(reference.task, len(reference.classes), bounds, bounds if reference.task == "regression" else ())


def place_of(age_us: npt.ArrayLike, delays: Delays) -> Ints:
    """Of rows of these ages, the place in a curve that they have reached; what is older than any age known stands at its end."""
    return np.minimum(completed_bins(age_us), delays.reach)


def shared_luck(delays: Delays, place: int | Ints, rows: int, of: int) -> Floats:
    """At these places, times by which the number of labels of so many rows, out of a window `of` so many, varies more than that of rows by themselves.

    A window shorter than a cluster (a day of a week) varies as the cluster does: what days share is divided by seven among rows of a week, and seven times as
    many share it. Where weeks share it, that is too much rather than too little."""
    correlation = np.asarray(delays.correlations or (delays.correlation,) * (delays.reach + 1), dtype=np.float64)[place]
    alike = max(of, delays.cluster) * rows / max(of, 1)
    return np.asarray(1.0 + max(alike - 1.0, 0.0) * correlation)


def age_at(delays: Delays, share: float) -> int | None:
    """The age (µs) from which at least `share` of the labels that will come have come, surely and for each label; None: not within what is known."""
    if delays.reach == 0:
        return None
    worst = np.min([part.curve.lower for part in delays.parts if part.score < 0], axis=0) / (1.0 + delays.tail)
    reached = np.flatnonzero(worst >= share)
    return EDGES_US[int(reached[0])] if reached.size else None


def usual_age(delays: Delays, share: float) -> int | None:
    """As `age_at`, by the estimate and not by what is sure: for where a little bias of late labels costs less than waiting. None: nothing is known yet."""
    if delays.reach == 0:
        return None
    least = np.min(
        [np.asarray(part.curve.share) / max(part.curve.share[-1], 1e-9) for part in delays.parts if part.score < 0], axis=0
    )
    return EDGES_US[int(np.flatnonzero(least >= share)[0])]


def duration(age_us: int) -> str:
    """In words, with the unit that fits."""
    for unit, seconds in (("days", 86_400), ("hours", 3_600)):
        if age_us >= 2 * seconds * 1_000_000:
            return f"{age_us / seconds / 1e6:.3g} {unit}"
    return f"{age_us / 60e6:.3g} minutes"


def _unknown(now_us: int, rows: int, labels: int, words: str) -> Delays:
    nothing = Curve(n=rows, share=(0.0,), lower=(0.0,), upper=(1.0,))
    return Delays(
        until_us=now_us, rows=rows, labels=labels, reach=0, come=nothing, by_score=(), parts=(), tail=1.0, correlation=0.0, words=words
    )  # fmt: skip


def together(start_us: Ints, now_us: int) -> Ints:
    """Which of the cohorts that start then (ascending) `learn` adds up first: those of one cluster that have lived through the same bins, in order of time.
    A few hundred groups, however long the history."""
    cluster, lived = _clusters(start_us, now_us)
    return np.cumsum((np.diff(cluster, prepend=-1) != 0) | (np.diff(lived, prepend=-1) != 0)) - 1


def _clusters(start_us: Ints, now_us: int) -> tuple[Ints, Ints]:
    """The cluster of each cohort, and the bins that all of it has lived through."""
    return start_us // COHORT_US // _width(start_us), completed_bins(now_us - start_us - COHORT_US)


def _width(start_us: Ints) -> int:
    """Cohorts to a cluster."""
    cohort = start_us // COHORT_US
    wide = [width for width in CLUSTERS if np.unique(cohort // width).size >= ENOUGH]
    return wide[-1] if wide else 1


def _lived(counts: AgeCounts, now_us: int) -> tuple[_Lived, tuple[Gap, ...]]:
    """As long as labels came as usual, and when they did not."""
    groups, of = np.unique(np.stack(_clusters(counts.start_us, now_us)), axis=1, return_inverse=True)
    n = groups.shape[1]
    rows = np.zeros((n, counts.rows.shape[1]), dtype=np.int64)
    labels = np.zeros((n, *counts.labels.shape[1:]), dtype=np.int64)
    np.add.at(rows, of, counts.rows)
    np.add.at(labels, of, counts.labels)
    by_then = np.cumsum(labels, axis=-1)
    before = (by_then - labels).sum(axis=1)
    at_risk = rows[..., None] - before
    width_us = _width(counts.start_us) * COHORT_US
    made = _made(groups, width_us, now_us)
    cohorts = Cohorts(*made, groups[1], labels.sum(axis=(1, 2)), at_risk.sum(axis=1))
    gaps = label_gaps.gaps(cohorts, width_us, now_us)
    seen = np.arange(labels.shape[-1]) < label_gaps.lived_before(cohorts, gaps)[:, None]
    start, member = np.unique(groups[0], return_inverse=True)

    def by_cluster(values: Ints) -> Ints:
        added = np.zeros((start.size, *values.shape[1:]), dtype=np.int64)
        np.add.at(added, member, values)
        return added

    lived = _Lived(
        start,
        by_cluster(labels * seen[:, None, None, :]),
        by_cluster(at_risk * seen[:, None, :]),
        by_cluster(by_then * seen[:, None, None, :]),
        by_cluster(rows.sum(axis=1)[:, None] * seen),
    )
    return lived, gaps


def _made(groups: Ints, width_us: int, now_us: int) -> tuple[Ints, Ints]:
    """Between when the rows of each group were made, by its cluster and by what they have lived through."""
    cluster, lived = groups
    edges = np.asarray(EDGES_US, dtype=np.int64)
    since, until = cluster * width_us, (cluster + 1) * width_us
    older = now_us - COHORT_US - edges[np.minimum(lived + 1, edges.size - 1)]
    since = np.where(lived + 1 < edges.size, np.maximum(since, older), since)
    return since, np.maximum(np.minimum(until, now_us - edges[lived]), since + 1)


def _changed(lived: _Lived) -> tuple[bool, npt.NDArray[np.bool_]]:
    """Whether recent predictions' labels come otherwise than those of earlier ones; which clusters are the recent ones."""
    old_enough = np.flatnonzero(lived.rows[:, 0] > 0)
    recent = np.zeros(lived.start.size, dtype=np.bool_)
    recent[old_enough[old_enough.size - old_enough.size // RECENT :]] = True
    fewer = min(int(recent.sum()), old_enough.size - int(recent.sum()))
    if fewer < LEAST_RECENT:
        return False, recent
    z = log_rank(lived.events.sum(axis=(1, 2)), lived.at_risk.sum(axis=1), recent)
    return abs(z) > t_quantile(1.0 - CHANGE_ALPHA / 2.0, fewer - 1), recent


def _spliced(lived: _Lived, recent: npt.NDArray[np.bool_]) -> _Lived:
    """Each bin from recent rows alone, where there are enough that have lived through it."""
    known = lived.rows[recent].sum(axis=0) >= LEAST_LABELS
    used = recent[:, None] | ~known
    parts = (lived.events * used[:, None, None, :], lived.at_risk * used[:, None, :], lived.by_then * used[:, None, None, :])
    return _Lived(lived.start, *parts, lived.rows * used)


def _come(survival: kaplan_meier.Survival, rows: int) -> Curve:
    lower, upper = kaplan_meier.interval(survival, ALPHA)
    left, least, most = (_continued(curve, curve) for curve in (survival.share, lower, upper))
    return Curve(n=rows, share=_shorts(1.0 - left), lower=_shorts(1.0 - most), upper=_shorts(1.0 - least))


def _by_score(lived: _Lived) -> tuple[tuple[float, ...], ...]:
    whole = kaplan_meier.kaplan_meier(lived.events.sum(axis=(1, 2)), lived.at_risk.sum(axis=1)).share
    whole = _continued(whole, whole)
    events = lived.events.sum(axis=1)
    each = (kaplan_meier.kaplan_meier(events[:, s], lived.at_risk[:, s]).share for s in range(events.shape[1]))
    return tuple(_shorts(1.0 - _continued(share, whole)) for share in each)


def _continued(curve: Floats, like: Floats) -> Floats:
    """Beyond the age at which nobody is left to tell (labels have stopped, and all that are older have one) it goes on as the other does; that has no more to
    tell itself: what was known last holds on."""
    last = int(np.flatnonzero(np.isfinite(curve))[-1])  # the first edge is always known
    beyond = like[last + 1 :] / like[last] if like[last] > 0.0 else np.ones(like.size - last - 1)
    return np.concatenate([curve[: last + 1], curve[last] * np.where(np.isfinite(beyond), beyond, 1.0)])


def _parts(lived: _Lived) -> tuple[Part, ...]:
    """The whole; each label that came at all; each label by score where there are LEAST_LABELS of it."""
    parts = [_part(-1, -1, lived.events.sum(axis=(1, 2)), lived.by_then.sum(axis=(1, 2)))]
    for label in range(lived.events.shape[1]):
        of_label = lived.events[:, label]
        if of_label.sum() > 0:
            parts.append(_part(label, -1, of_label.sum(axis=1), lived.by_then[:, label].sum(axis=1)))
        parts += [
            _part(label, score, of_label[:, score], lived.by_then[:, label, score])
            for score in range(of_label.shape[1])
            if of_label[:, score].sum() >= LEAST_LABELS
        ]
    return tuple(parts)


def _part(label: int, score: int, events: Ints, by_then: Ints) -> Part:
    known = right_truncation.right_truncated(events, by_then)
    lower, upper = right_truncation.interval(known, ALPHA)
    deviation = np.sqrt(np.maximum(known.greenwood, known.clustered))
    curve = Curve(
        n=int(events.sum()), share=_shorts(known.share), lower=_shorts(lower), upper=_shorts(upper), log_sd=_shorts(deviation)
    )
    return Part(label=label, score=score, curve=curve)


def _size(lived: _Lived) -> float:
    """Rows that one finds oneself among in a cluster."""
    sizes = lived.rows[:, 0].astype(np.float64)
    return float((sizes**2).sum() / max(sizes.sum(), 1.0))


def _correlations(survival: kaplan_meier.Survival, size: float) -> Floats:
    """At each edge, from how much more the clusters differ than independent rows would (Kish's design effect, 1 + (m − 1) ρ)."""
    told = (survival.greenwood > 0.0) & (survival.clustered > 0.0) & (survival.share > 0.0) & (size > 1.0)
    effect = np.divide(survival.clustered, survival.greenwood, out=np.ones(told.size), where=told)
    return np.asarray(np.clip((effect - 1.0) / max(size - 1.0, 1e-9), 0.0, 1.0), dtype=np.float64)


def _words(delays: Delays, gaps: tuple[Gap, ...], *, dried_up: bool) -> str:
    whole = delays.parts[0].curve
    known = EDGES_US[delays.reach]
    half = EDGES_US[int(np.flatnonzero(np.asarray(whole.share) >= 0.5)[0])]
    ripe = age_at(delays, 0.95)
    most = "95 % not surely within what is known" if ripe is None else f"95 % of each kind after {duration(ripe)}"
    told = f"of the labels that come within {duration(known)} half are there after {duration(half)}, {most}"
    told += f"; {1.0 - delays.ever:.1%} of the predictions have none by then"
    stopped = bool(gaps) and gaps[-1].until_us >= delays.until_us
    if len(gaps) > stopped:
        told += f"; learned without the predictions of {sum(gap.days for gap in gaps[: len(gaps) - stopped]):.3g} days in which hardly a label came"
    if dried_up or stopped:
        told += "; of recent predictions hardly a label has come"
    elif delays.changed:
        told += "; labels of recent predictions come otherwise than those of earlier ones: learned from the recent ones as far as they are old enough"
    return told


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _shorts(values: Floats) -> tuple[float, ...]:
    """Short in the ledger; the same in every replay."""
    return tuple(_short(value) for value in np.nan_to_num(values, nan=0.0).tolist())
