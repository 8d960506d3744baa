"""States of the kinds that are asked for as a whole, held between two looks: what has been written since is read and no more, however much was ever done.

A state is the projection of the events, so the events since the last look tell what has changed. What another process wrote is read, what this one writes is
handed over. Where that does not follow on what was seen, as after a backup was restored, everything is read anew.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from flyball.control.ports import Ledger
from flyball.records.events import Event, Head, Put, Stored

MOST = 1_000
"""Events that are read to follow up, in some hundred milliseconds. Who has not looked for longer reads the states anew."""


class Row(NamedTuple):
    key: str
    seq: int
    """Of the event that wrote it last."""
    record: Any


class Asked(NamedTuple):
    """A kind, as records of one type, in one order."""

    kind: str
    record: type[msgspec.Struct]
    order: Callable[[Row], Any]


class _Kind:
    """As records of one type."""

    def __init__(self, states: Sequence[Stored]) -> None:
        self._fresh = {stored.key: stored for stored in states}
        """Not revived yet."""
        self._rows: dict[str, Row] = {}
        self._ordered: dict[Callable[[Row], Any], tuple[Any, ...]] = {}
        """Until something changes."""

    def apply(self, put: Put, seq: int) -> None:
        self._ordered.clear()
        if put.value is not None:
            self._fresh[put.key] = Stored(put.kind, put.key, put.value, seq)
            return
        self._fresh.pop(put.key, None)
        self._rows.pop(put.key, None)

    def in_order(self, order: Callable[[Row], Any], revive: Callable[[Stored], Any]) -> tuple[Any, ...]:
        """The records."""
        for key, stored in tuple(self._fresh.items()):
            self._rows[key] = Row(key, stored.seq, revive(stored))
            del self._fresh[key]
        if order not in self._ordered:
            self._ordered[order] = tuple(row.record for row in sorted(self._rows.values(), key=order))
        return self._ordered[order]


class HeldStates:
    """Of one ledger. Safe to use from several threads."""

    def __init__(self, broken_off: Callable[[], None] = lambda: None) -> None:
        """`broken_off`: called when what the ledger holds does not follow on what was seen."""
        self._lock = threading.RLock()
        self._broken_off = broken_off
        self._seen = Head(0, "")
        """Up to where events are in what is held."""
        self._kinds: dict[str, dict[type[msgspec.Struct], _Kind]] = {}

    def all(self, ledger: Ledger, asked: Asked, revive: Callable[[Stored], Any]) -> tuple[Any, ...]:
        """The records of all states of a kind."""
        with self._lock:
            self._follow(ledger)
            types = self._kinds.setdefault(asked.kind, {})
            if asked.record not in types:
                # Read after the head was: what is written in between is in it already, and is applied once more.
                types[asked.record] = _Kind(ledger.states(asked.kind))
            return types[asked.record].in_order(asked.order, revive)

    def written(self, events: Iterable[Event]) -> None:
        """By this process. Those that answer a key that was there are seen already; what follows on another's, unseen one is read with it."""
        with self._lock:
            for event in events:
                if event.prev == self._seen.hash:
                    self._apply(event)

    def _follow(self, ledger: Ledger) -> None:
        head = ledger.head()
        if head == self._seen:
            return
        since = ledger.events(after=self._seen.seq) if self._kinds and 0 < head.seq - self._seen.seq <= MOST else ()
        if not since or since[0].prev != self._seen.hash:
            self._kinds.clear()
            self._broken_off()
            self._seen = head
            return
        for event in since:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        for put in event.puts:
            for held in self._kinds.get(put.kind, {}).values():
                held.apply(put, event.seq)
        self._seen = Head(event.seq, event.hash)
