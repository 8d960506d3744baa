"""Labels counted by age, in bins that never change: counts of any two parts of the traffic add up to those of the whole, to the bit.

A bin holds ages from its edge up to the next, that excluded. The first ends at a minute, three make an octave, the last begins after 364 days and has
no end: what comes later than that has not come. Rows are gathered in cohorts of an hour of event time, which is all that a delay curve needs to know
of them: how old the youngest of a cohort is tells which bins the whole cohort has lived through.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_SECOND = 1_000_000
_OCTAVES, _PER_OCTAVE = 19, 3
EDGES_US: tuple[int, ...] = (0, *(round(60 * 2 ** (k / _PER_OCTAVE)) * _SECOND for k in range(_OCTAVES * _PER_OCTAVE + 1)))
"""Lower ends of the bins."""
N_BINS = len(EDGES_US)
COHORT_US = 3_600 * _SECOND
_EDGES = np.asarray(EDGES_US, dtype=np.int64)


class AgeCounts(NamedTuple):
    """What came of the rows of each cohort, in order of time."""

    start_us: Ints
    """(n_cohorts,) each lasts COHORT_US."""
    rows: Ints
    """(n_cohorts, n_score_strata) predictions."""
    labels: Ints
    """(n_cohorts, n_label_strata, n_score_strata, N_BINS) labels, by the age at which the first of a prediction came."""


def completed_bins(age_us: npt.ArrayLike) -> Ints:
    """How many bins a row of this age has lived through from end to end: the place of the largest edge that is not above it. A negative age: none.

    >>> completed_bins([-5, 0, 59_999_999, 60_000_000, 80_000_000]).tolist()
    [0, 0, 0, 1, 2]
    """
    ages = np.asarray(age_us, dtype=np.int64)
    return np.asarray(np.maximum(np.searchsorted(_EDGES, ages, side="right") - 1, 0), dtype=np.int64)


def merge(first: AgeCounts, second: AgeCounts) -> AgeCounts:
    """Both together: of the same cohort the counts add up.

    >>> one = AgeCounts(np.array([0]), np.array([[3]]), np.ones((1, 1, 1, N_BINS), dtype=np.int64))
    >>> merge(one, one).rows.tolist()
    [[6]]
    """
    start = np.union1d(first.start_us, second.start_us)
    rows = np.zeros((start.size, *first.rows.shape[1:]), dtype=np.int64)
    labels = np.zeros((start.size, *first.labels.shape[1:]), dtype=np.int64)
    for part in (first, second):
        at = np.searchsorted(start, part.start_us)
        rows[at] += part.rows
        labels[at] += part.labels
    return AgeCounts(start, rows, labels)
