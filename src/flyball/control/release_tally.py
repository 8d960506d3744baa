"""What only answers that users got can tell of the two units of a release: model times, and whose answer it was. A fresh baseline.

Champion and canary are compared on equal numbers of the same period: a share that grows at night, or a slow hour, must not look like a slow challenger
(Simpson's paradox). Within a minute as many of the one as of the other are taken, chosen by checksum; what is over is left out.

Of a key only the first row of a release counts: a key stays on its side, so that a busy one is a single lottery ticket and not a hundred. Calls of the model are
compared with calls of about as many rows, within a factor of two: a canary's share of a large request is a small one. And those that shared a batch with
such as did: who is asked later finds warm what the first had to warm. Who is first is drawn, so that of all shared ones either unit is first as often.

What is kept is bounded, and never so that nothing more is: the first answers as they come, so that a plainly worse challenger is found within minutes, and then
as many a minute as last until the steps have had their longest time, so that one that grows slow a week later is found as well.
"""

import zlib
from datetime import timedelta
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
AT_FIRST = 100_000
"""Rows of a unit that are kept as they come."""
SPREAD = 100_000
"""Rows of a unit that are spread evenly over the longest time of the steps."""


class _Row(NamedTuple):
    tie: int
    """Checksum of the prediction's id: which rows are taken does not depend on what they say."""
    at_us: int
    score: float
    """Its largest one where there are several classes."""
    id: str
    key: int | None
    """Checksum of its key."""


class _Call(NamedTuple):
    tie: int
    at_us: int
    latency_us: int
    like: tuple[bool, int]
    """Calls of one kind are compared: (whether it shared its batch, in how many bits its rows are counted)."""


class Calls(NamedTuple):
    """Calls of both units' models, ascending by period: in every one as many of either of each size (1 row, 2 to 3, 4 to 7, …), alone as alone and
    shared as shared. All (n,)."""

    periods: Ints
    challengers: Bools
    latencies_ms: Floats


class Matched(NamedTuple):
    """Answers of both units, ascending by the period that each was made in: as many of either in every one. All (n,)."""

    periods: Ints
    challengers: Bools
    """Whether the challenger answered."""
    scores: Floats
    ids: tuple[str, ...]
    calls: Calls


class ReleaseTally:
    """Of the release under way; begins anew with each."""

    def __init__(self) -> None:
        self._release = ""
        self._opened_us = 0
        self._since_us = 0
        self._units: tuple[str, ...] = ()
        self._open: dict[int, tuple[list[_Row], list[_Row]]] = {}
        self._calls: dict[int, tuple[list[_Call], list[_Call]]] = {}
        self._keys: set[int] = set()
        """Checksums of keys of which a row counts."""
        self._new_calls: list[tuple[int, int, _Call]] = []
        self._new: list[tuple[int, int, _Row]] = []
        """(period, 1 for the challenger, row), of periods that were matched since the last look."""
        self._matched = _matched([], [])
        self._done_until = 0
        self._evenly = MOST_OF_PERIOD
        """Rows of a unit that each period may keep at least."""
        self._at_first = AT_FIRST
        """Left of them."""

    def follow(self, release: ReleaseState | None, opened_us: int, longest: timedelta) -> None:
        """Before its first answer is seen: what was taken earlier is not looked at again. None: nothing is compared, and nothing is held. `longest`: that
        users may get answers of both."""
        if release is None or release.champion is None:
            if self._release:
                self._begin("", 0, ())
        elif (release.id, opened_us) != (self._release, self._opened_us):
            self._begin(release.id, opened_us, (release.champion, release.challenger))
        periods = longest // timedelta(microseconds=PERIOD_US)
        self._evenly = min(max(SPREAD // max(periods, 1), 1), MOST_OF_PERIOD)

    def _begin(self, release: str, opened_us: int, units: tuple[str, ...]) -> None:
        self._release, self._opened_us, self._since_us, self._units = release, opened_us, opened_us, units
        self._open, self._new, self._matched, self._done_until = {}, [], _matched([], []), 0
        self._calls, self._new_calls, self._keys, self._at_first = {}, [], set(), AT_FIRST

    def forget_until(self, horizon_us: int) -> None:
        """What was answered before is not wanted any more."""
        self._since_us = max(self._since_us, horizon_us)
        for start in [start for start in self._open if start + PERIOD_US <= horizon_us]:
            self._open.pop(start)
            self._calls.pop(start, None)

    def add(self, batch: PredictionBatch) -> None:
        """Only what champion and canary answered."""
        start = batch.at_us - batch.at_us % PERIOD_US
        if batch.role not in {"champion", "canary"} or batch.unit not in self._units or batch.at_us < self._since_us:
            return
        if start < self._done_until:
            return
        arm = self._units.index(batch.unit)
        rows = self._open.setdefault(start, ([], []))[arm]
        for place, each in enumerate(batch.ids):
            key = batch.keys[place]
            rows.append(_Row(_checksum(each), batch.at_us, max(batch.scores[place]), each, _checksum(key) if key else None))
        calls = self._calls.setdefault(start, ([], []))[arm]
        like = (batch.turn > 0, len(batch.ids).bit_length())
        calls.append(_Call(_checksum(batch.ids[0]), batch.at_us, batch.latency_us, like))
        if len(rows) > 2 * MOST_OF_PERIOD:
            rows[:] = sorted(rows)[:MOST_OF_PERIOD]
        if len(calls) > 2 * MOST_OF_PERIOD:
            calls[:] = sorted(calls)[:MOST_OF_PERIOD]

    def _first_of_their_keys(self, rows: list[_Row]) -> list[_Row]:
        """By checksum of their ids, the first of each key that did not count before. Where capture drops keys every row counts: nobody can tell."""
        found: list[_Row] = []
        met: set[int] = set()
        for row in sorted(rows):
            if row.key is None or (row.key not in self._keys and row.key not in met):
                found.append(row)
                met.update(() if row.key is None else (row.key,))
        return found

    def settle(self, until_us: int) -> None:
        """Match the periods that were over by then; all that was captured by then is here."""
        for start in sorted(start for start in self._open if start + SETTLED_AFTER_US <= until_us):
            opened, calls = self._open.pop(start), self._calls.pop(start, ([], []))
            both = [self._first_of_their_keys(rows) for rows in opened]
            room = min(MOST_OF_PERIOD, max(self._evenly, self._at_first))
            n = min(room, *map(len, both))
            for arm, rows in enumerate(both):
                chosen = sorted(rows[:n], key=lambda row: (row.at_us, row.tie))
                self._new.extend((start, arm, row) for row in chosen)
                self._keys.update(row.key for row in chosen if row.key is not None)
            asked = self._match_calls(start, calls, room)
            self._at_first = max(self._at_first - max(n, asked), 0)
            self._done_until = start + PERIOD_US

    def _match_calls(self, start: int, calls: tuple[list[_Call], list[_Call]], room: int) -> int:
        """How many of each unit: of every kind as many of either, and no more than there is room for but one of each kind."""
        kinds = [{call.like for call in mine} for mine in calls]
        alike = [[sorted(call for call in mine if call.like == kind) for mine in calls] for kind in sorted(kinds[0] & kinds[1])]
        few = [min(map(len, both)) for both in alike]
        if sum(few) > room:
            few = [max(each * room // sum(few), 1) for each in few]
        for both, count in zip(alike, few, strict=True):
            self._new_calls.extend((start, arm, call) for arm, mine in enumerate(both) for call in mine[:count])
        return sum(few)

    def matched_of(self, release: str) -> Matched:
        """Of this release; nothing while another one is followed."""
        return self.matched() if release == self._release else _matched([], [])

    def matched(self) -> Matched:
        """All so far; later looks only append."""
        if self._new or self._new_calls:
            fresh, self._new, self._new_calls = _matched(self._new, self._new_calls), [], []
            before, old, new = self._matched, self._matched.calls, fresh.calls
            self._matched = Matched(
                np.concatenate([before.periods, fresh.periods]),
                np.concatenate([before.challengers, fresh.challengers]),
                np.concatenate([before.scores, fresh.scores]),
                before.ids + fresh.ids,
                Calls(
                    np.concatenate([old.periods, new.periods]), np.concatenate([old.challengers, new.challengers]),
                    np.concatenate([old.latencies_ms, new.latencies_ms]),
                ),
            )  # fmt: skip
        return self._matched


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _matched(rows: list[tuple[int, int, _Row]], calls: list[tuple[int, int, _Call]]) -> Matched:
    return Matched(
        np.array([period for period, _, _ in rows], dtype=np.int64),
        np.array([arm for _, arm, _ in rows], dtype=np.bool_),
        np.array([row.score for _, _, row in rows], dtype=np.float64),
        tuple(row.id for _, _, row in rows),
        Calls(
            np.array([period for period, _, _ in calls], dtype=np.int64),
            np.array([arm for _, arm, _ in calls], dtype=np.bool_),
            np.array([call.latency_us / 1e3 for _, _, call in calls], dtype=np.float64),
        ),
    )
