"""What only answers that users got can tell of the two units of a release: model times, and whose answer it was. A fresh baseline.

Champion and canary are compared on equal numbers of the same period: a share that grows at night, or a slow hour, must not look like a slow challenger
(Simpson's paradox). Within a minute as many of the one as of the other are taken, chosen by checksum; what is over is left out.
"""

import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.captured import PredictionBatch
from flyball.records.release import ReleaseState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PERIOD_US = 60_000_000
SETTLED_AFTER_US = 2 * PERIOD_US
"""A period is matched when it is so long over: segments of several workers are not read in one order."""
MOST_OF_PERIOD = 1_000
"""Rows of a unit that are kept of a period: those with the least checksums, a fair sample however many there were."""
MOST = 200_000
"""Rows of a unit that are kept of a release: more would move no verdict."""


class _Row(NamedTuple):
    tie: int
    """Checksum of the prediction's id: which rows are taken does not depend on what they say."""
    at_us: int
    latency_us: int
    """Of its batch; -1: not the first of it."""
    score: float
    """Its largest one where there are several classes."""
    id: str


class Matched(NamedTuple):
    """Answers of both units, ascending by the period that each was made in: as many of either in every one. All (n,)."""

    periods: Ints
    challengers: Bools
    """Whether the challenger answered."""
    latencies_ms: Floats
    """Of its batch; NaN: another row of the batch has told it."""
    scores: Floats
    ids: tuple[str, ...]


class ReleaseTally:
    """Of the release under way; begins anew with each."""

    def __init__(self) -> None:
        self._release = ""
        self._since_us = 0
        self._units: tuple[str, ...] = ()
        self._open: dict[int, tuple[list[_Row], list[_Row]]] = {}
        self._new: list[tuple[int, int, _Row]] = []
        """(period, 1 for the challenger, row), of periods that were matched since the last look."""
        self._matched = _matched([])
        self._done_until = 0

    def follow(self, release: ReleaseState | None, opened_us: int) -> None:
        """Before its first answer is seen: what was taken earlier is not looked at again."""
        if release is None or release.id == self._release or release.champion is None:
            return
        self._release, self._since_us, self._units = release.id, opened_us, (release.champion, release.challenger)
        self._open, self._new, self._matched, self._done_until = {}, [], _matched([]), 0

    def add(self, batch: PredictionBatch) -> None:
        """Only what champion and canary answered."""
        start = batch.at_us - batch.at_us % PERIOD_US
        if batch.role not in {"champion", "canary"} or batch.unit not in self._units or batch.at_us < self._since_us:
            return
        if start < self._done_until or self._full:
            return
        rows = self._open.setdefault(start, ([], []))[self._units.index(batch.unit)]
        for place, each in enumerate(batch.ids):
            tie = zlib.crc32(each.encode("utf-8", "surrogatepass"))
            rows.append(_Row(tie, batch.at_us, batch.latency_us if place == 0 else -1, max(batch.scores[place]), each))
        if len(rows) > 2 * MOST_OF_PERIOD:
            rows[:] = sorted(rows)[:MOST_OF_PERIOD]

    def settle(self, now_us: int) -> None:
        """Match the periods that are over."""
        for start in sorted(start for start in self._open if start + SETTLED_AFTER_US <= now_us):
            both = self._open.pop(start)
            if self._full:
                continue
            n = min(MOST_OF_PERIOD, *map(len, both))
            for arm, rows in enumerate(both):
                chosen = sorted(sorted(rows)[:n], key=lambda row: (row.at_us, row.tie))
                self._new.extend((start, arm, row) for row in chosen)
            self._done_until = start + PERIOD_US

    def matched(self) -> Matched:
        """All so far; later looks only append."""
        if self._new:
            fresh, self._new = _matched(self._new), []
            self._matched = Matched(
                np.concatenate([self._matched.periods, fresh.periods]),
                np.concatenate([self._matched.challengers, fresh.challengers]),
                np.concatenate([self._matched.latencies_ms, fresh.latencies_ms]),
                np.concatenate([self._matched.scores, fresh.scores]),
                self._matched.ids + fresh.ids,
            )
        return self._matched

    @property
    def _full(self) -> bool:
        return len(self._matched.ids) + len(self._new) >= 2 * MOST


def _matched(rows: list[tuple[int, int, _Row]]) -> Matched:
    return Matched(
        np.array([period for period, _, _ in rows], dtype=np.int64),
        np.array([arm for _, arm, _ in rows], dtype=np.bool_),
        np.array([row.latency_us / 1e3 if row.latency_us >= 0 else np.nan for _, _, row in rows], dtype=np.float64),
        np.array([row.score for _, _, row in rows], dtype=np.float64),
        tuple(row.id for _, _, row in rows),
    )
