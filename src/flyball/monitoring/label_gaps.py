"""Times in which hardly a label came at all: whoever sends them was away. How late labels are cannot be learned through such a time.

Found from the same counts as the delay: of each slot of time, the labels that came in it against those that came at these ages of all rows. A label's time is
known as well as its row's and its age are, about a quarter of the age; a gap that is short beside the delay is not seen, and does not matter.

Predictions from before a gap tell what they told when it began; those made within it tell nothing, as their labels are lost or were brought together at its end.
A delay that became longer leaves a gap too, until the first labels of the new age: it is told apart by the predictions made after it, which get no label at
the old ages either.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.age_grid import COHORT_US, EDGES_US, completed_bins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HARDLY = 0.05
"""Of the labels that are usual: one sender of twenty, or labels that are sent by hand meanwhile. Delays that became twenty times longer look alike."""
FULLY = 0.5
"""A gap lasts until so many come again: at its ends part of a slot, and of the time within which a label may have come, lies outside of it."""
LEAST_LABELS = 50
"""That are missed, as fewer may stay away by chance; and that came before: what none has come before is no gap in what came."""
LEAST_US = 60 * COHORT_US
"""Longer than the weekend of a model that is new: a night or a weekend belongs to the delay."""
LONGER = 2.0
COMMON = 0.2
"""Of the rest of the time: where others that are no shorter than by LONGER fill as much, such gaps are usual and belong to the delay. Batches of a night or a week
leave one after another, weekends fill two days in seven; who was away twice before was not away for a fifth of all days."""
_DAY_US = 24 * COHORT_US
_EDGES = np.asarray(EDGES_US, dtype=np.float64)


class Cohorts(NamedTuple):
    """Rows by when they were made, and what is known of their labels by age."""

    made_from_us: Ints
    """(n_groups,)"""
    made_until_us: Ints
    lived: Ints
    """(n_groups,) bins that all rows of the group have lived through."""
    events: Ints
    """(n_groups, n_bins) labels."""
    at_risk: Ints
    """(n_groups, n_bins) rows without a label at the bin's beginning."""


class Gap(NamedTuple):
    since_us: int
    until_us: int
    """Not below now: labels have not come again."""

    @property
    def days(self) -> float:
        return (self.until_us - self.since_us) / _DAY_US


def gaps(cohorts: Cohorts, slot_us: int, now_us: int) -> tuple[Gap, ...]:
    """In order of time. `slot_us`: how well the time of rows is known."""
    seen = np.arange(cohorts.events.shape[1]) < cohorts.lived[:, None]
    events, at_risk = cohorts.events * seen, cohorts.at_risk * seen
    hazard = events.sum(axis=0) / np.maximum(at_risk.sum(axis=0), 1)
    if not events.any():
        return ()
    slot_us = min(slot_us, _DAY_US)
    first = int(cohorts.made_from_us.min())
    edges = np.arange(first, now_us + slot_us, slot_us)
    came, usual = _by_time(cohorts, events, edges, now_us), _by_time(cohorts, at_risk * hazard, edges, now_us)
    low = came <= HARDLY * usual
    runs = _runs(low, usual)
    found = [
        _widened(run, came < FULLY * usual, edges)
        for place, run in enumerate(runs)
        if _is_unusual(run, runs[:place] + runs[place + 1 :], low.size)
        and min(float(usual[slice(*run)].sum()), float(came[: run[0]].sum())) >= LEAST_LABELS
    ]
    long = [gap for gap in found if gap.until_us - gap.since_us >= LEAST_US]
    return tuple(gap for gap in long if gap.until_us >= now_us or _ended(gap, cohorts, events, at_risk * hazard))


def lived_before(cohorts: Cohorts, found: tuple[Gap, ...]) -> Ints:
    """(n_groups,) bins that all rows of the group have lived through with labels coming as usual; 0: they were made in a gap."""
    lived = cohorts.lived
    for gap in found:
        until = np.minimum(lived, completed_bins(gap.since_us - cohorts.made_until_us))
        lived = np.where(cohorts.made_from_us < gap.until_us, until, lived)
    return lived


def _ended(gap: Gap, cohorts: Cohorts, events: Ints, usual: Floats) -> bool:
    """Not where predictions made since then, too, get hardly a label at ages that were usual; few of them tell nothing yet."""
    after = cohorts.made_from_us >= gap.until_us
    awaited = float(usual[after].sum())
    return awaited < LEAST_LABELS or float(events[after].sum()) > HARDLY * awaited


def _by_time(cohorts: Cohorts, amounts: npt.NDArray[np.number], edges: Ints, now_us: int) -> Floats:
    """(n_edges - 1,) of amounts by group and age, what falls into each slot of time: evenly over the time in which it may have been."""
    total = np.zeros(edges.size)
    for place in range(amounts.shape[1]):
        since = cohorts.made_from_us + _EDGES[place]
        longest = _EDGES[min(place + 1, _EDGES.size - 1)]
        until = np.maximum(np.minimum(cohorts.made_until_us + longest, now_us), since + 1.0)
        by_then = np.clip((edges - since[:, None]) / (until - since)[:, None], 0.0, 1.0)
        total += amounts[:, place] @ by_then
    return np.diff(total)


def _runs(low: npt.NDArray[np.bool_], usual: Floats) -> list[tuple[int, int]]:
    """(begin, end) of slots in a row that are low; those in which nothing was usual are no gap of their own."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    pairs = [(int(begin), int(end)) for begin, end in zip(change[::2], change[1::2], strict=True)]
    return [(begin, end) for begin, end in pairs if usual[begin:end].sum() > 0.0]


def _is_unusual(run: tuple[int, int], others: list[tuple[int, int]], slots: int) -> bool:
    length = run[1] - run[0]
    alike = sum(end - begin for begin, end in others if (end - begin) * LONGER >= length)
    return alike < COMMON * (slots - length)


def _widened(run: tuple[int, int], few: npt.NDArray[np.bool_], edges: Ints) -> Gap:
    begin, end = run
    while begin > 0 and few[begin - 1]:
        begin -= 1
    while end < few.size and few[end]:
        end += 1
    return Gap(int(edges[begin]), int(edges[end]))
