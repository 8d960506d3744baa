"""Controllers as processes: each with its own memory and its own way to die."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.simulation.clocks import Machine, ProcessClock
from tests.simulation.fuse import Fuse, Killed
from tests.simulation.gateways import Fleet, Truth

from flyball.control.engine import Engine
from flyball.control.loop import tick_once
from flyball.control.world import Place, Ports, World
from flyball.errors import Fenced, StoreUnavailable
from flyball.records.events import Draft, Event
from flyball.spec import ProjectSpec

Written = Callable[[int | None, tuple[Truth, ...]], None]


class Disk:
    """What may be wrong with the ledger's disk."""

    def __init__(self) -> None:
        self.refuses = 0
        """So many of the next writes."""
        self.unreadable = 0
        """So many of the next reads."""

    def write(self) -> None:
        if self.refuses > 0:
            self.refuses -= 1
            raise StoreUnavailable("no space is left on the ledger's disk")

    def read(self) -> None:
        if self.unreadable > 0:
            self.unreadable -= 1
            raise StoreUnavailable("the ledger's disk cannot be read")


class WatchedLedger:
    """The port `Ledger` of one process: after each write the reader looks at once."""

    def __init__(self, ledger: Any, disk: Disk, written: Written) -> None:
        self._ledger, self._disk, self._written = ledger, disk, written
        self.epoch: int | None = None
        self.seen: tuple[Truth, ...] = ()

    def events(self, **asked: Any) -> tuple[Event, ...]:
        self._disk.read()
        found: tuple[Event, ...] = self._ledger.events(**asked)
        return found

    def state(self, kind: str, key: str) -> Any:
        self._disk.read()
        return self._ledger.state(kind, key)

    def states(self, kind: str, known: Any = None) -> Any:
        self._disk.read()
        return self._ledger.states(kind, known)

    def head(self) -> Any:
        self._disk.read()
        return self._ledger.head()

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        self._disk.write()
        events: tuple[Event, ...] = self._ledger.transact(drafts, epoch=epoch)
        self.tell()
        return events

    def claim(self, owner: str, at: datetime) -> int:
        self._disk.write()
        self.epoch = self._ledger.claim(owner, at)
        self.tell()
        return self.epoch

    def tell(self) -> None:
        """The reader looks at what was written, as this process's."""
        self._written(self.epoch, self.seen)


class _Watching:
    """The port `Gateways` of one process: notes what the gateways really served when it looked, and shows the reader what it publishes."""

    def __init__(self, fleet: Fleet, ledger: WatchedLedger, published: Callable[[Any], None]) -> None:
        self._fleet, self._ledger, self._published = fleet, ledger, published
        self.renew_lease, self.lease_age, self.published = fleet.renew_lease, fleet.lease_age, fleet.published

    def observe(self) -> Any:
        self._ledger.seen = self._fleet.truth()
        return self._fleet.observe()

    def publish(self, table: Any) -> None:
        self._published(table)
        self._fleet.publish(table)


class Quiet:
    """A notifier that tells nobody."""

    def notify(self, subject: str, words: str) -> None:
        return


class Stage:
    """What all processes of a world share."""

    def __init__(
        self, spec: ProjectSpec, machine: Machine, fleet: Fleet, open_ledger: Callable[[], Any], others: dict[str, Any]
    ) -> None:
        self.spec, self.machine, self.fleet, self.open_ledger, self.others = spec, machine, fleet, open_ledger, others
        self.disk = Disk()
        self.written: Written = lambda _epoch, _seen: None
        self.published: Callable[[Any], None] = lambda _table: None
        self.said: list[str] = []
        """By any process, oldest first: what a person reads who plays a seed again."""

    def world(self, ledger: WatchedLedger, fuse: Fuse | None = None) -> World:
        ports = Ports(
            clock=ProcessClock(self.machine), ledger=ledger, gateways=_Watching(self.fleet, ledger, self.published), notifier=Quiet(),
            **self.others,
        )  # fmt: skip
        place = Place(Path("/nowhere"), Path("/nowhere/.flyball"))
        return World(self.spec, place, fuse.wrap(ports) if fuse else ports, lambda _style, words: self.said.append(words))

    def door(self) -> World:
        """As the command line has it: reads, and writes orders."""
        return self.world(WatchedLedger(self.open_ledger(), self.disk, self.written))


class Process:
    """One controller. `fuse`: what becomes of it."""

    def __init__(self, stage: Stage, name: str, fuse: Fuse) -> None:
        self.name = name
        self.fuse = fuse
        self.over = ""
        """Why it runs no more."""
        self.fenced = False
        """A newer one has taken over, and it has noticed."""
        self._ledger = stage.open_ledger()
        self._watched = WatchedLedger(self._ledger, stage.disk, stage.written)
        self._world = stage.world(self._watched, fuse)
        self._engine: Engine | None = None

    def end(self) -> None:
        """The kernel takes back what it had open."""
        self._ledger.close()

    def tick(self) -> None:
        """Start, if it has not; then one turn of its loop."""
        try:
            if self._engine is None:
                engine = Engine(self._world)
                engine.start(self.name)
                self._engine = engine
            tick_once(self._engine)
        except Killed:
            self.over = "killed"
            self._watched.tell()  # it may have died between its commit and the answer
        except Fenced:
            self.fenced = True
        except StoreUnavailable:  # it could not even take over: whoever supervises it starts another
            self.over = "no ledger"
