"""Captured records in memory: a shipped fake that keeps the reader's contract."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from flyball.control.ports import Portion
from flyball.records.captured import Captured, RemovedSegments


class MemoryCapture:
    """Segments as lists; a cursor's entry is how many of a segment's records were read."""

    def __init__(self, at_once: int | None = None) -> None:
        """`at_once`: most records that one call hands out; None: all there are."""
        self._segments: dict[str, list[Captured]] = {}
        self._at_once = at_once
        self._ended: set[str] = set()
        self.dropped = 0
        """What the gateways say they could not hand over."""

    def hand_over(self, records: Iterable[Captured], segment: str = "0") -> None:
        """As a worker does before its answer leaves."""
        self._segments.setdefault(segment, []).extend(records)

    def end(self, segment: str) -> None:
        """As a worker does that goes on to another, or is gone."""
        self._ended.add(segment)

    def read(self, cursor: Mapping[str, int], since_us: int = 0) -> Portion:
        found: list[Captured] = []
        following = dict(cursor)
        for name, records in sorted(self._segments.items()):
            start = following.get(name, 0)
            if start == 0 and _newest_us(records) < since_us:
                continue
            end = len(records) if self._at_once is None else min(len(records), start + self._at_once - len(found))
            if start < end:
                found += records[start:end]
                following[name] = end
        return Portion(tuple(found), following, more=self._at_once is not None and len(found) >= self._at_once)

    def remove(self, before_us: int) -> RemovedSegments:
        names = sorted(self._segments)
        followed = {name for name, following in pairwise(names) if _worker(name) == _worker(following)}
        gone = tuple(name for name in names if name in followed | self._ended and _newest_us(self._segments[name]) < before_us)
        for name in gone:
            del self._segments[name]
        return RemovedSegments(gone, 0, more=False)

    def segments(self) -> tuple[str, ...]:
        return tuple(sorted(self._segments))

    def lost(self) -> int:
        return self.dropped


def _newest_us(records: list[Captured]) -> int:
    return max((record.at_us for record in records), default=0)


def _worker(segment: str) -> str:
    return segment.partition("-")[0]
