"""What every use case of control works with: the project, the ports, and the states read through one narrow door."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from flyball.control.held_states import Asked, HeldStates, Row
from flyball.control.ports import (
    CaptureReader,
    Clock,
    Executor,
    Gateways,
    Ledger,
    Notifier,
    Packages,
    Registry,
    Say,
    Scorer,
    UserMetrics,
)
from flyball.errors import StoreUnavailable
from flyball.records import codec
from flyball.records.events import Draft, Event, Put, Stored
from flyball.spec import ProjectSpec

T = TypeVar("T", bound=msgspec.Struct)

MICROSECOND = timedelta(microseconds=1)
NUMBERED = frozenset({"job", "release", "drill"})
"""Kinds whose keys are a letter and a number of at least so many digits: `j-0007`."""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Ports(NamedTuple):
    clock: Clock
    ledger: Ledger
    executor: Executor
    registry: Registry
    gateways: Gateways
    capture: CaptureReader
    packages: Packages
    notifier: Notifier
    metrics: UserMetrics | None = None
    """None: no metrics of the user's own can be measured here."""
    scorer: Scorer | None = None
    """None: captured requests cannot be replayed here."""


class Place(NamedTuple):
    """Where the project and its state lie on this machine."""

    project_dir: Path
    state_dir: Path
    shared_steps: Path | None = None
    """Where results of steps and snapshots lie; None: in `state_dir`. Replays share them: the same training is done once."""
    own_schema: Path | None = None
    """In place of the project's schema.yaml. A replay has one: what it infers of a past is nothing to the project."""

    @property
    def steps_dir(self) -> Path:
        return self.shared_steps or self.state_dir


class Unwritten(NamedTuple):
    """Writes that came to nothing, with none between them that did not."""

    first: datetime
    last: datetime


class World:
    """One controller's hold on a project: reads states, writes fenced events."""

    def __init__(self, spec: ProjectSpec, place: Place, ports: Ports, say: Say) -> None:
        self.spec = spec
        self.place = place
        self.ports = ports
        self.say = say
        self.spec_digest = codec.digest(spec.model_dump(mode="json", by_alias=True))
        """Of flyball.yaml as this process has read it."""
        self.epoch: int | None = None
        """None: this process has not taken over and only reads."""
        self.unwritten: Unwritten | None = None
        """None: the ledger took what it was last given by this controller."""
        self._revived: dict[tuple[str, str], tuple[int, type[msgspec.Struct], Any]] = {}
        """Of each state the record that was made of it last: what one event wrote never changes, and records are frozen."""
        self._held = HeldStates(broken_off=self._revived.clear)

    @property
    def model(self) -> str:
        return self.spec.model

    def now(self) -> datetime:
        return self.ports.clock.now()

    def take_over(self, owner: str) -> None:
        """Become the one controller; everything an earlier one still tries to write is refused from here on."""
        self.epoch = self.ports.ledger.claim(owner, self.now())

    def record(self, *drafts: Draft) -> tuple[Event, ...]:
        """Append in one transaction, fenced by this controller's epoch."""
        try:
            events = self.ports.ledger.transact(drafts, epoch=self.epoch)
        except StoreUnavailable:
            now = self.now()
            self.unwritten = Unwritten(self.unwritten.first if self.unwritten else now, now)
            raise
        self.unwritten = None
        self._held.written(events)
        return events

    def get(self, kind: str, key: str, record: type[T]) -> T | None:
        """The state of that kind and key; None: there is none."""
        stored = self.ports.ledger.state(kind, key)
        return None if stored is None else self._record(stored, record)

    def all(self, kind: str, record: type[T]) -> tuple[T, ...]:
        """All states of a kind, by key; of what is numbered, by number, also where that has outgrown its digits. Only what was written since they were asked for
        last is read: a tick asks for kinds that grow with history."""
        return self._found(Asked(kind, record, _by_number if kind in NUMBERED else _by_key))

    def last(self, kind: str, begins: str, record: type[T], count: int) -> tuple[T, ...]:
        """So many of a kind whose keys begin so, the last ones by key, in that order: no other is decoded."""
        found = self.ports.ledger.states(kind, lambda _key, _seq: True)
        keys = [stored.key for stored in found if stored.key.startswith(begins)][-count:]
        states = (self.get(kind, key, record) for key in keys)
        return tuple(state for state in states if state is not None)

    def by_last_event(self, kind: str, record: type[T]) -> tuple[T, ...]:
        """The same in the order of the events that wrote them last: one that no clock moves."""
        return self._found(Asked(kind, record, _by_event))

    def _found(self, asked: Asked) -> tuple[Any, ...]:
        return self._held.all(self.ports.ledger, asked, lambda stored: self._record(stored, asked.record))

    def _record(self, stored: Stored, record: type[T]) -> T:
        held = self._revived.get((stored.kind, stored.key))
        if held is None or held[:2] != (stored.seq, record):
            held = (stored.seq, record, codec.revive(stored.value, record))
            self._revived[stored.kind, stored.key] = held
        return held[2]

    def number(self, counter: str) -> tuple[int, Put]:
        """The next number of a counter, and the put that uses it up: goes into the same transaction as what is numbered."""
        stored = self.ports.ledger.state("counter", counter)
        following = (stored.value["last"] if stored else 0) + 1
        return following, Put("counter", counter, {"last": following})


def _by_key(row: Row) -> str:
    return row.key


def _by_number(row: Row) -> tuple[int, str]:
    return len(row.key), row.key


def _by_event(row: Row) -> tuple[int, str]:
    return row.seq, row.key


def put(kind: str, key: str, value: msgspec.Struct) -> Put:
    """A record as a state."""
    return Put(kind, key, codec.plain(value))


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly (float seconds would round)."""
    return (at - EPOCH) // MICROSECOND


def moment(at_us: int) -> datetime:
    return EPOCH + at_us * MICROSECOND


def draft(at: datetime, kind: str, subject: str, payload: dict[str, Any], puts: Sequence[Put] = (), **more: Any) -> Draft:
    """An event of control's own."""
    return Draft(
        at=at,
        kind=kind,
        subject=subject,
        actor=more.get("actor", "control"),
        payload=payload,
        puts=tuple(puts),
        key=more.get("key"),
    )
