"""Whether a ledger holds: its chain, its end, its states."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flyball.adapters.ledger.entry import Entry, event_of, hash_of
from flyball.control.ports import LedgerFault
from flyball.errors import LedgerDamaged
from flyball.records import codec
from flyball.records.events import GENESIS, Head

States = Mapping[tuple[str, str], tuple[str, int]]
"""(kind, key) → (canonical value, seq of the event that wrote it)."""


class Kept(NamedTuple):
    """Everything that is kept of a ledger, read anew."""

    entries: Iterable[Entry]
    states: States
    inner: Head
    """The head inside the database."""
    outer: Head | None
    """The head outside of it, read before the entries; None: missing or unreadable."""
    epoch: int


def audit(kept: Kept) -> tuple[LedgerFault, ...]:
    """All faults, in order of seq. States are compared only where the chain is whole: the fold of a broken one proves nothing."""
    walk = _Walk(kept.outer.seq if kept.outer else 0)
    for entry in kept.entries:
        walk.step(entry)
    faults = [*walk.faults, *_ends(kept, walk)]
    if not faults:
        faults += _states(walk.states, kept.states)
        if walk.epoch != kept.epoch:
            faults.append(LedgerFault("state", None, f"the epoch is {kept.epoch}, the events say {walk.epoch}"))
    if kept.outer is None:
        faults.append(
            LedgerFault("head", None, "the ledger's head file is missing or unreadable: a lost tail could not be noticed")
        )
    return tuple(faults)


class _Walk:
    """One pass over the entries in order of seq."""

    def __init__(self, watched: int) -> None:
        self.faults: list[LedgerFault] = []
        self.states: dict[tuple[str, str], tuple[str, int]] = {}
        self.end = Head(0, GENESIS)
        self.epoch = 0
        self.watched_hash = GENESIS if watched == 0 else ""
        self.flipped: set[int] = set()
        self._watched = watched
        self._hashes: tuple[str, ...] = (GENESIS,)

    def step(self, entry: Entry) -> None:
        expected, computed = self.end.seq + 1, hash_of(entry)
        if entry.seq != expected:
            missing = f"entry {expected} is" if entry.seq == expected + 1 else f"entries {expected} to {entry.seq - 1} are"
            self.faults.append(LedgerFault("removed", expected, f"{missing} missing"))
        if computed != entry.hash:
            self._flipped(
                entry.seq, f"the bytes of entry {entry.seq} give {computed[:12]}…, its hash says {str(entry.hash)[:12]}…"
            )
        elif entry.seq == expected and entry.prev not in self._hashes:
            self._flipped(
                entry.seq, f"entry {entry.seq} follows {str(entry.prev)[:12]}…, but entry {self.end.seq} is {self.end.hash[:12]}…"
            )
        else:
            self._fold(entry)
        # Either of the two was what the next entry was bound to: a flipped hash column is one fault, not two.
        self._hashes = (entry.hash, computed)
        self.end = Head(entry.seq, entry.hash)
        if entry.seq == self._watched:
            self.watched_hash = entry.hash

    def _fold(self, entry: Entry) -> None:
        try:
            event = event_of(entry)
        except LedgerDamaged as error:
            self._flipped(entry.seq, error.found)
            return
        for put in event.puts:
            if put.value is None:
                self.states.pop((put.kind, put.key), None)
            else:
                self.states[put.kind, put.key] = (codec.encode(put.value).decode(), entry.seq)
        if entry.kind == "control.claimed":
            self.epoch = max(self.epoch, int(event.payload.get("epoch", 0)))

    def _flipped(self, seq: int, words: str) -> None:
        self.flipped.add(seq)
        self.faults.append(LedgerFault("flipped", seq, words))


def _ends(kept: Kept, walk: _Walk) -> list[LedgerFault]:
    """A table that ends before the database's own head lost its tail; a database that agrees with itself and not with the file is another one."""
    faults, end, inner, outer = [], walk.end, kept.inner, kept.outer
    if end.seq < inner.seq:
        faults.append(LedgerFault("truncated", end.seq + 1, f"the table ends at entry {end.seq}, its head is {inner.seq}"))
    elif end.seq > inner.seq or (end.hash != inner.hash and end.seq not in walk.flipped):
        faults.append(
            LedgerFault(
                "flipped",
                end.seq,
                f"the database's head is {inner.seq} {inner.hash[:12]}…, the last entry {end.seq} {end.hash[:12]}…",
            )
        )
    if outer is None:
        return faults
    if outer.seq > max(end.seq, inner.seq):
        words = f"the head file knows entry {outer.seq}, the database ends at {inner.seq}: an older copy of it, or its write-ahead log was lost"
        faults.append(LedgerFault("restored", inner.seq + 1, words))
    elif outer.seq <= end.seq and walk.watched_hash and walk.watched_hash != outer.hash and outer.seq not in walk.flipped:
        words = f"entry {outer.seq} is {walk.watched_hash[:12]}…, the head file knows {outer.hash[:12]}…: another history was put in its place"
        faults.append(LedgerFault("restored", outer.seq, words))
    return faults


def _states(folded: States, stored: States) -> list[LedgerFault]:
    faults = []
    for kind, key in sorted(folded.keys() | stored.keys()):
        there, due = stored.get((kind, key)), folded.get((kind, key))
        if there != due:
            seq = due[1] if due else there[1] if there else None
            what = "is missing" if there is None else "was never put" if due is None else "differs from its events"
            faults.append(LedgerFault("state", seq, f"state {kind} {key} {what}"))
    return faults
