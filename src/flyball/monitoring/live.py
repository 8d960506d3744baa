"""The metric of a window whose labels are still coming: completed by what is known of the delay, or marked immature.

Each label that is here stands for as many as will come of its kind: its weight is one over the share of its stratum (label and score) that comes by the
row's age (delays.py). What is estimated is the metric of all rows of the window that will have a label.

Assumed: within a stratum, whether a label has come yet says nothing of the outcome. It fails where the delay hangs on something else that hangs together with
the error (a region that reports late and is hard to predict); no data of this window can show that, and it is the bias that is left. What can be seen is
checked, and the window marked instead: a kind of label of which less than LEAST_COME can have come by the age of the window's youngest row, a kind of which
no delay is known, and numbers of labels that are not those that the learned delay leads one to expect.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.monitoring.delays import Delays, age_at, duration, place_of, shared_luck
from flyball.monitoring.maturity import off_by_chance
from flyball.monitoring.realised import Weighting
from flyball.stats.age_grid import EDGES_US
from flyball.stats.label_strata import LabelStrata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_COME = 0.2
"""Share of each kind of label that surely comes by the age of the youngest row: a label never stands for more than five."""
LEAST_KIND = 0.01
"""Share of all learned labels below which a kind of label cannot move a metric far, and need not be known."""
LEAST_LABELS = 30


class WindowRows(NamedTuple):
    """All rows that a unit answered in a window (capture's `LabelJoin.outcomes`)."""

    at_us: Ints
    received_us: Ints
    """When the first label came; -1: none yet."""
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    """NaN: none yet."""


class Completion(NamedTuple):
    """Which rows to measure and what each stands for; or why the window stays immature."""

    chosen: Ints
    weighting: Weighting | None
    """None: immature, `words` says why, and until when."""
    words: str


class _Chance(NamedTuple):
    """Of a label to have come, by (label, score, place)."""

    share: Floats
    lower: Floats
    log_sd: Floats
    known: npt.NDArray[np.bool_]
    """(n_labels,) such labels have been seen."""


def completed(rows: WindowRows, delays: Delays | None, strata: LabelStrata, now_us: int) -> Completion:
    """`strata`: those by which ages were counted."""
    nothing = np.zeros(0, dtype=np.int64)
    if delays is None or delays.reach == 0:
        return Completion(nothing, None, delays.words if delays is not None else "no label delay is learned yet")
    place = place_of(now_us - rows.at_us, delays)
    chosen = np.flatnonzero(rows.received_us >= 0)
    chance = _chances(delays, strata)
    why = _immature(rows, chosen, delays, chance, strata, place) or _unlike(rows, now_us, delays, strata)
    if why:
        return Completion(nothing, None, why)
    label, score, at = strata.of_labels(rows.labels[chosen]), strata.of_scores(rows.scores[chosen]), place[chosen]
    share = _at_age(chance.share[label, score], now_us - rows.at_us[chosen], delays)
    groups = label * strata.n_scores + score
    log_sd = np.zeros(strata.n_labels * strata.n_scores)
    np.maximum.at(log_sd, groups, chance.log_sd[label, score, at])
    words = f"{chosen.size} of about {delays.ever * rows.at_us.size:.0f} labels, completed by the learned delay"
    words += "; within a label and score, delay and error are taken as independent"
    if delays.changed:
        words += "; the delay has changed lately"
    return Completion(chosen, Weighting(1.0 / share, groups, log_sd, words), words)


def _at_age(curves: Floats, age_us: Ints, delays: Delays) -> Floats:
    """Each row's own curve (n_rows, reach + 1) at its age: between two edges the chance of what is left falls evenly (a constant hazard)."""
    place = place_of(age_us, delays)
    following = np.minimum(place + 1, delays.reach)
    edges = np.asarray(EDGES_US, dtype=np.float64)
    part = np.clip((age_us - edges[place]) / np.maximum(edges[following] - edges[place], 1.0), 0.0, 1.0)
    row = np.arange(place.size)
    left, then = 1.0 - curves[row, place], 1.0 - curves[row, following]
    even = np.maximum(left, 0.0) ** (1.0 - part) * np.maximum(then, 0.0) ** part
    return np.asarray(1.0 - np.where(then > 0.0, even, left * (1.0 - part)), dtype=np.float64)


def _chances(delays: Delays, strata: LabelStrata) -> _Chance:
    """The curve of a label and score; where it has too few labels, that of the label."""
    shape = (strata.n_labels, strata.n_scores, delays.reach + 1)
    share, lower, log_sd = np.ones(shape), np.zeros(shape), np.zeros(shape)
    known = np.zeros(strata.n_labels, dtype=np.bool_)
    for part in delays.parts:  # labels come before labels by score
        if part.label >= 0:
            scores = slice(None) if part.score < 0 else part.score
            share[part.label, scores], lower[part.label, scores] = part.curve.share, part.curve.lower
            log_sd[part.label, scores] = part.curve.log_sd
            known[part.label] |= part.curve.n >= LEAST_KIND * delays.labels
    return _Chance(share, lower, log_sd, known)


def _immature(rows: WindowRows, chosen: Ints, delays: Delays, chance: _Chance, strata: LabelStrata, place: Ints) -> str:
    when = age_at(delays, LEAST_COME)
    later = "" if when is None else f"; completed from an age of about {duration(when)} on"
    expected = f"{chosen.size} of about {delays.ever * rows.at_us.size:.0f} labels are here{later}"
    if chosen.size < LEAST_LABELS:
        return f"{expected}: {LEAST_LABELS} are wanted"
    present = np.zeros(strata.n_labels, dtype=np.bool_)
    present[strata.of_labels(rows.labels[chosen])] = True
    kinds = np.array([any(part.label == label for part in delays.parts) for label in range(strata.n_labels)])
    if np.any(present & ~kinds):
        return f"{expected}: labels came of which no delay is known"
    least = float(chance.lower[chance.known][:, :, int(place.min())].min(initial=1.0)) if place.size else 0.0
    if least < LEAST_COME:
        return f"{expected}: of the slowest kind of label perhaps {least:.0%} can have come for the youngest row, {LEAST_COME:.0%} are wanted"
    return ""


def _unlike(rows: WindowRows, now_us: int, delays: Delays, strata: LabelStrata) -> str:
    """Whether other numbers of labels came than the learned delay leads one to expect, over all or for some scores."""
    score, place = strata.of_scores(rows.scores), place_of(now_us - rows.at_us, delays)
    for stratum in (-1, *range(strata.n_scores)):
        mine = (score == stratum) | (stratum < 0)
        curve = np.asarray(delays.come.share if stratum < 0 else delays.by_score[stratum])
        n = int(mine.sum())
        share = _at_age(np.broadcast_to(curve, (n, curve.size)), now_us - rows.at_us[mine], delays)
        expected, found = float(share.sum()), int((rows.received_us[mine] >= 0).sum())
        alone = float((share * (1.0 - share) * shared_luck(delays, place[mine], n, score.size)).sum())
        width = (np.asarray(delays.come.upper) - np.asarray(delays.come.lower))[place[mine]].sum() / 4.0
        # a curve of some scores is learned from so many fewer rows
        most = off_by_chance(alone + width**2 * score.size / max(n, 1), 1 + strata.n_scores)
        if abs(found - expected) > most:
            of = "" if stratum < 0 else " for some scores"
            return f"{found} labels are here{of} and {expected:.0f} ± {most:.0f} were expected: they come otherwise than learned, so nothing is completed"
    return ""
