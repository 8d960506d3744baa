"""Predictions whose labels come late, by simulated delays, and what a join would have counted of them by any time."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from flyball.monitoring.live import WindowRows
from flyball.stats.age_grid import COHORT_US, N_BINS, AgeCounts, completed_bins
from flyball.stats.label_strata import LabelStrata

HOUR = COHORT_US
DAY = 24 * HOUR
NEVER = 1 << 62
START = datetime(2026, 1, 1, tzinfo=UTC)
STRATA = LabelStrata("binary", 2, (0.25, 0.5))


class Late(NamedTuple):
    at_us: np.ndarray
    received_us: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def between(self, start_us, end_us, now_us):
        """The rows of a window as they are known at `now_us`."""
        mine = (self.at_us >= start_us) & (self.at_us < end_us)
        here = self.received_us[mine] <= now_us
        return WindowRows(
            self.at_us[mine],
            np.where(here, self.received_us[mine], -1),
            self.scores[mine],
            np.where(here, self.labels[mine], np.nan),
        )

    def counts(self, now_us, strata=STRATA):
        """Independently of capture: one row after the other."""
        old = self.at_us < now_us
        cohort = self.at_us[old] // COHORT_US
        start = np.unique(cohort)
        rows = np.zeros((start.size, strata.n_scores), dtype=np.int64)
        labels = np.zeros((start.size, strata.n_labels, strata.n_scores, N_BINS), dtype=np.int64)
        place, score = np.searchsorted(start, cohort), strata.of_scores(self.scores[old])
        np.add.at(rows, (place, score), 1)
        here = self.received_us[old] <= now_us
        label = strata.of_labels(self.labels[old])
        age = completed_bins(self.received_us[old] - self.at_us[old])
        np.add.at(labels, (place[here], label[here], score[here], age[here]), 1)
        return AgeCounts(start * COHORT_US, rows, labels)


def lived(rng, *, days=60, a_day=400, mean_days=2.0, ever=1.0, batch_us=0):
    """`mean_days`: a number, or a function of (scores, labels, at_us); `batch_us`: labels are brought that often, all together."""
    n = days * a_day
    at = np.sort(rng.integers(0, days * DAY, n))
    scores = rng.beta(0.8, 1.6, n)
    labels = (rng.random(n) < scores).astype(float)
    mean = mean_days(scores, labels, at) if callable(mean_days) else np.full(n, mean_days)
    received = at + (rng.exponential(mean) * DAY).astype(np.int64)
    if batch_us:
        received = -(-received // batch_us) * batch_us
    return Late(at, np.where(rng.random(n) < ever, received, NEVER), scores[:, None], labels)


def moment(us):
    return START + timedelta(microseconds=int(us))
