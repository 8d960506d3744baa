"""One release and one rollback on real files, without any fault but the deaths that are asked for: what every crash point is tried on."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from tests.simulation.fuse import Fuse, Killed
from tests.simulation.models import GOOD
from tests.simulation.processes import Process
from tests.simulation.world import Plan, Simulation, plan_of

from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.ledger.head_file import SLOT_BYTES
from flyball.control import decisions
from flyball.records.unit import Unit

SEED = 7
"""Of a plan with a shadow, two canary steps and no approval."""


def plan() -> Plan:
    found = plan_of(Random(SEED), watched=False)
    assert found[0].release.shadow is not None
    assert len(found[0].release.steps) == 2
    assert not found[0].release.approval
    return found


class Story(Simulation):
    """A first version; a second one through all phases to its end; then it is taken back by a person."""

    def __init__(self, *fuses: Fuse, tears: bool = False) -> None:
        """`fuses`: of the controllers, in order of their starts. `tears`: where one dies, half of the head's slot is written first."""
        super().__init__(SEED, on_disk=True, plan=plan())
        self._calm = True
        self._fuses = list(fuses)
        self._tears = tears
        self.workshop.kinds = {"j-0001": GOOD, "j-0002": GOOD}
        self.turns: list[int] = []
        """Writing calls of the controller before each of its turns."""

    def tell(self) -> dict[str, Any]:
        """What it leaves behind. Raises Violated."""
        try:
            for order in ("run", "run", "roll_back"):
                self.people.order(order)
                self._until_at_rest()
            self._audit()
            return self._left_behind()
        finally:
            self._close()

    def _live(self) -> None:
        """However often controllers die, no time goes by until one has found nothing left to write: so the end can be compared."""
        self._time_goes_by()
        moved = True
        while moved:
            if not self.processes:
                self._start()
            before = self.chain.seq
            self._turns()
            moved = self.chain.seq != before or not self.processes

    def _start(self) -> None:
        self.started += 1
        fuse = self._fuses.pop(0) if self._fuses else Fuse()
        process = Process(self.stage, f"control-{self.started}", fuse)
        cut_into(process._ledger, fuse)
        if self._tears:
            fuse.instead = tearing(process._ledger)
        self.processes.append(process)

    def _turns(self) -> None:
        self.turns.append(self.processes[0].fuse.calls)
        super()._turns()

    def _left_behind(self) -> dict[str, Any]:
        """But for what a death may rightly leave: a claim, and a launch that was tried once more."""
        states = {place: {**state, "attempt": 1} if place[0] == "job" else state for place, state in self.chain.states.items()}
        told = Counter(
            {place: times for place, times in self.chain.counts.items() if place[0] not in ("control.claimed", "job.launched")}
        )
        return {
            "states": states,
            "entries": told,
            "decisions": decisions.recorded(self.door),
            "units": self.door.all("unit", Unit),
            "aliases": dict(self.registry.marked),
            "served": [worker.table for worker in self.fleet.workers],
        }


def cut_into(ledger: SqliteLedger, fuse: Fuse) -> None:
    """Deaths inside a write, too: before the commit, between the commit and its head, after the head."""
    sa.event.listen(ledger._engine, "commit", fuse.around("files.commit", lambda _connection: None))
    ledger._head_file.write = fuse.around("files.head", ledger._head_file.write)  # type: ignore[method-assign]


def tearing(ledger: SqliteLedger) -> Callable[[], None]:
    def tear() -> None:
        slots = ledger._head_file._slots
        newest = slots.newest()
        assert newest is not None
        os.pwrite(slots.descriptor(), b'{"hash":"5f1c', (1 - newest.slot) * SLOT_BYTES)
        raise Killed

    return tear


def moved(ledger: SqliteLedger, directory: Path) -> object:
    """From now on on these files, with all deaths that were cut into it; what it had open it leaves as it is. That is given back: it may not be finalized."""
    engine, head = ledger._engine, ledger._head_file
    inherited = engine.pool
    ledger._path, head._path = directory / "flyball.db", directory / "HEAD"
    head._slots._path, head._slots._fd = head._path, -1

    @sa.event.listens_for(engine, "do_connect")
    def _there(_dialect: object, _record: object, arguments: list[str], _named: object) -> None:
        arguments[0] = str(ledger._path)

    engine.dispose(close=False)
    return inherited


def points(names: Sequence[str], only: str = "") -> list[int]:
    """Numbers of the calls around which to die: all that change something but the lease."""
    return [number for number, name in enumerate(names, 1) if name != "gateways.renew_lease" and name.startswith(only)]
