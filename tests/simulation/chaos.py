"""What goes wrong, and when: drawn from the seed. Each world has a few kinds of trouble of its own, so that rare ones are not drowned by frequent ones."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import NamedTuple

from tests.simulation.clients import Clients
from tests.simulation.clocks import Machine
from tests.simulation.gateways import Fleet
from tests.simulation.models import Bench, RegistryBook
from tests.simulation.processes import Disk

from flyball.control import commands
from flyball.control.world import World
from flyball.errors import Conflict, StoreUnavailable
from flyball.records.decisions import Approval
from flyball.records.routing import RoutingTable

HOUR = timedelta(hours=1)
TEN_YEARS = timedelta(days=3653)


class People:
    """Who give orders at any time, some of them twice."""

    def __init__(self, draw: Random, door: World) -> None:
        self._draw, self._door = draw, door
        self.acknowledged: list[str] = []
        """Orders whose number was told to who gave them."""
        self._orders = 0

    def order(self, kind: str) -> None:
        self._orders += 1
        with suppress(StoreUnavailable):  # not acknowledged then: it may be there once or not at all
            self.acknowledged.append(commands.order(self._door, kind, f"user:ann-{self._orders}", f"order {self._orders}").id)

    def answer(self, *, yes: bool) -> None:
        """All that is asked, by two people at once."""
        with suppress(StoreUnavailable):
            for approval in self._door.all("approval", Approval):
                if approval.answer is None:
                    for who, says in (("user:ann", yes), ("user:bob", not yes)):
                        with suppress(Conflict):
                            commands.answer(self._door, approval.id, yes=says, actor=who, reason="")


class Exposed(NamedTuple):
    """What faults can get at."""

    machine: Machine
    fleet: Fleet
    disk: Disk
    clients: Clients
    registry: RegistryBook
    bench: Bench
    people: People
    units: Callable[[], list[str]]
    """Ids of all that are registered."""
    reboot: Callable[[], None]
    """Every controller ends."""


class Chaos:
    """The faults of one world."""

    def __init__(self, draw: Random, exposed: Exposed, always: Sequence[str] = ()) -> None:
        """`always`: kinds of trouble that this world has for certain."""
        self._draw = draw
        (
            self._machine,
            self._fleet,
            self._disk,
            self._clients,
            self._registry,
            self._bench,
            self._people,
            self._units,
            self._reboot,
        ) = exposed
        kinds = self._kinds()
        self.kinds = [*dict.fromkeys([*always, *draw.sample(sorted(kinds), draw.randint(2, 6))])]
        self._faults = [kinds[name] for name in self.kinds]
        self.deaths = draw.choice((0.0, 0.3, 0.6, 0.9))
        """Chance that a process will die, or stand still, at some write."""
        self.rivals = draw.choice((0.0, 0.0, 0.1, 0.3))
        """Chance, in each step, that a second controller is started beside the first."""
        self._rate = draw.choice((0.1, 0.25, 0.5))
        self._never = draw.choice(("", "", "", "labels", "traffic"))
        """What does not come back when the faults stop."""

    def step(self) -> None:
        """What happens in this step."""
        if self._draw.random() < 0.35:
            self._people.order("run")
        if self._draw.random() < 0.06:
            for _ in range(self._draw.choice((1, 2))):
                self._people.order("roll_back")
        if self._draw.random() < 0.08:
            self._people.order("drill")
        if self._draw.random() < 0.5:
            self._people.answer(yes=self._draw.random() < 0.7)
        for fault in self._faults:
            if self._draw.random() < self._rate:
                fault()

    def calm(self) -> None:
        """All is well again, and people who see to it."""
        self._machine.right()
        self._fleet.heal()
        self._disk.refuses = self._disk.unreadable = 0
        self._bench.lose_next, self._bench.looks = False, 0
        self._registry.away, self._registry.missing = False, set()
        self._clients.calm()
        if self._never == "labels":
            self._clients.labelled = False
        elif self._never == "traffic":
            self._clients.rows = 0

    def _kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "clock": self._clock, "publish": self._publish, "workers": self._workers, "fleet": self._gone, "disk": self._restored,
            "bytes": self._bytes, "deaf": self._deaf, "network": self._network, "labels": self._labels, "traffic": self._traffic,
            "registry": self._away, "ledger": self._ledger, "world": self._turned, "old publish": self._old_publish,
            "package": self._package, "loading": self._slow, "reads": self._reads, "launch": self._launch,
        }  # fmt: skip

    def _clock(self) -> None:
        choice = self._draw.choice(("+1h", "-1h", "+10y", "+10y", "-10y", "freeze", "right"))
        if choice == "freeze":
            self._machine.freeze()
        elif choice == "right":
            self._machine.right()
        else:
            if self._draw.random() < 0.4:  # a machine that starts with a wrong clock
                self._reboot()
            self._machine.jump({"+1h": HOUR, "-1h": -HOUR, "+10y": TEN_YEARS, "-10y": -TEN_YEARS}[choice])

    def _publish(self) -> None:
        self._fleet.next_publish = self._draw.choice(("lost", "unacknowledged", "unheard", "repeated"))

    def _workers(self) -> None:
        worker = self._draw.choice(self._fleet.workers)
        choice = self._draw.choice(("dies", "starts", "starts", "unheard", "heard"))
        if choice == "dies":
            worker.alive, worker.table = False, None
        elif choice == "starts" and not self._fleet.gone:
            self._fleet.start(worker)
        elif not self._fleet.gone:
            worker.heard = choice == "heard"

    def _gone(self) -> None:
        if self._fleet.gone:
            self._fleet.come()
        else:
            self._fleet.leave()

    def _restored(self) -> None:
        """Yesterday's disk, and perhaps a worker that starts from it."""
        if self._fleet.written:
            older: RoutingTable = self._draw.choice(self._fleet.written)
            self._fleet.restore_disk(older)
            self._fleet.look()
            if self._draw.random() < 0.5 and not self._fleet.gone:
                self._fleet.start(self._draw.choice(self._fleet.workers))

    def _bytes(self) -> None:
        worker, units = self._draw.choice(self._fleet.workers), self._units()
        if worker.wrong:
            worker.wrong = set()
            if not self._fleet.gone:
                self._fleet.start(worker)
        elif units:
            worker.wrong = {self._draw.choice(units)}

    def _deaf(self) -> None:
        worker = self._draw.choice(self._fleet.workers)
        worker.deaf = not worker.deaf

    def _slow(self) -> None:
        """It takes its time to load what it is to serve, or more than anybody waits."""
        self._draw.choice(self._fleet.workers).slow = self._draw.choice((0, 2, 10, 10_000))

    def _network(self) -> None:
        self._clients.slow_network = not self._clients.slow_network

    def _labels(self) -> None:
        self._clients.labelled = self._draw.random() < 0.3
        self._clients.labels_after = self._draw.choice((1, 2, 4, 8))

    def _traffic(self) -> None:
        self._clients.rows = self._draw.choice((0, 0, 1, 8, 8))

    def _away(self) -> None:
        self._registry.away = not self._registry.away

    def _package(self) -> None:
        """Somebody deletes the package of a version, or brings one back."""
        self._registry.missing ^= {self._draw.randint(1, 4)}

    def _reads(self) -> None:
        self._disk.unreadable = self._draw.choice((1, 3, 10, 40))

    def _launch(self) -> None:
        self._bench.lose_next, self._bench.looks = self._draw.random() < 0.5, self._draw.choice((0, 2, 5))

    def _ledger(self) -> None:
        self._disk.refuses = self._draw.choice((1, 1, 2, 3, 10))

    def _turned(self) -> None:
        if units := self._units():
            self._clients.turned ^= {self._draw.choice(units)}
            self._clients.ever_turned |= self._clients.turned

    def _old_publish(self) -> None:
        """A table of the past arrives once more, from a controller that stood still before it sent it."""
        if self._fleet.written:
            with suppress(Conflict, StoreUnavailable):
                self._fleet.publish(self._draw.choice(self._fleet.written))
