"""An independent reader of the ledger: a few lines over raw rows, none of the product's functions."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from sqlite3 import connect
from typing import Any, NamedTuple, Protocol

from bench.release.reader import COLUMNS, Entry, entry_hash, newest_slot

GENESIS = "0" * 64
State = dict[str, Any]


class Violated(BaseException):
    """An invariant does not hold. No Exception: a controller that survives anything must not survive this."""


def hold(true: object, words: str) -> None:
    if not true:
        raise Violated(words)


class Source(Protocol):
    """Where raw rows come from."""

    def after(self, seq: int) -> Sequence[Entry]: ...

    def states(self) -> dict[tuple[str, str], str]: ...

    def head_outside(self) -> tuple[int, str] | None: ...


class MemorySource:
    """The open fields of a ledger in memory."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def after(self, seq: int) -> Sequence[Entry]:
        return [Entry(*entry) for entry in self._ledger.entries if entry.seq > seq] if len(self._ledger.entries) > seq else ()

    def states(self) -> dict[tuple[str, str], str]:
        return {place: text for place, (text, _) in self._ledger.projection.items()}

    def head_outside(self) -> tuple[int, str] | None:
        outer = self._ledger.outer
        return None if outer is None else (outer.seq, outer.hash)


class FileSource:
    """The database and the head file of a ledger on the disk, read by SQLite and by hand."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection = connect(directory / "flyball.db")

    def after(self, seq: int) -> Sequence[Entry]:
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM events WHERE seq > ? ORDER BY seq",  # noqa: S608 - a constant
            (seq,),
        )
        return [Entry(*row) for row in found]

    def states(self) -> dict[tuple[str, str], str]:
        return {(kind, key): value for kind, key, value in self._connection.execute('SELECT kind, "key", value FROM states')}

    def head_outside(self) -> tuple[int, str] | None:
        return newest_slot((self._directory / "HEAD").read_bytes())

    def close(self) -> None:
        self._connection.close()


class Told(NamedTuple):
    """One entry, read."""

    seq: int
    kind: str
    subject: str
    actor: str
    payload: State
    key: str | None
    put: dict[tuple[str, str], State | None]
    """What it put."""
    before: dict[tuple[str, str], State | None]
    """What stood in those places."""


class Chain:
    """Reads what is new, checks that it is bound to what was there, and folds the states anew."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seq, self.hash = 0, GENESIS
        self.states: dict[tuple[str, str], State] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        """Idempotence key → (kind, subject) of the one entry that has it."""
        self.counts: dict[tuple[str, str], int] = {}
        """(kind, subject) → entries."""

    def news(self) -> Iterator[Told]:
        """Entries since the last call."""
        for row in self.source.after(self.seq):
            yield self._take(row)

    def of(self, kind: str) -> dict[str, State]:
        return {key: state for (its_kind, key), state in self.states.items() if its_kind == kind}

    def whole(self) -> None:
        """The stored states are the fold of the entries, and the head outside is the last entry, or the one before it."""
        stored = {place: json.loads(text) for place, text in self.source.states().items()}
        for place in sorted(stored.keys() | self.states.keys()):
            hold(stored.get(place) == self.states.get(place), f"state {place} is not what its events say")
        outside = self.source.head_outside()
        hold(outside is not None, "the head outside cannot be read")
        hold(outside == (self.seq, self.hash), f"the head outside is {outside}, the last entry {self.seq} {self.hash[:8]}")

    def _take(self, row: Entry) -> Told:
        hold(row.seq == self.seq + 1, f"entry {row.seq} follows entry {self.seq}")
        hold(row.prev == self.hash, f"entry {row.seq} is bound to {row.prev[:8]}, the one before is {self.hash[:8]}")
        hold(row.hash == entry_hash(row), f"entry {row.seq} is not what its hash says")
        self.seq, self.hash = row.seq, row.hash
        if row.key is not None:
            hold(row.key not in self.keys, f"the key {row.key} is there twice")
            self.keys[row.key] = (row.kind, row.subject)
        place = (row.kind, row.subject)
        self.counts[place] = self.counts.get(place, 0) + 1
        put = row.put
        before = {each: self.states.get(each) for each in put}
        for each, value in put.items():
            if value is None:
                self.states.pop(each, None)
            else:
                self.states[each] = value
        return Told(row.seq, row.kind, row.subject, row.actor, row.told, row.key, put, before)
