"""Requests, their answers, their labels, and the network between gateways and the controller's capture."""

from datetime import timedelta
from typing import Any, NamedTuple

from tests.simulation.clocks import Machine
from tests.simulation.gateways import Fleet, Worker
from tests.simulation.models import RegistryBook

from flyball.adapters.capture_memory import MemoryCapture
from flyball.control.world import micros
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch
from flyball.records.routing import Route, ServedUnit, canary_answers

SAID, OPPOSITE = 0.85, 0.15
"""What a right model scores where the label is `yes`, and a wrong one: every row tells them apart, so that no verdict is a matter of luck."""


class Answer(NamedTuple):
    """One answered row, as it really was."""

    worker: str
    unit: str
    version: int
    role: str


class Clients:
    """All clients of one world, seeded."""

    def __init__(self, draw: Any, machine: Machine, fleet: Fleet, registry: RegistryBook) -> None:
        self._draw, self._machine, self._fleet, self._registry = draw, machine, fleet, registry
        self.capture = MemoryCapture()
        self.turned: set[str] = set()
        """Units whose answers the world has turned into their opposite."""
        self.ever_turned: set[str] = set()
        self.rows = 8
        """Requests to each worker in each step."""
        self.labelled = True
        self.labels_after = 1
        """Steps."""
        self.slow_network = False
        """Records come late, twice and in any order."""
        self.answers: list[Answer] = []
        """Of the last step."""
        self.labelled_with: list[tuple[str, ...]] = []
        """Of every label that the controller can know: whose scores its row has."""
        self._sent = 0
        self._on_the_way: list[tuple[int, int, Captured]] = []
        self._step = 0

    def step(self) -> None:
        """One step's traffic, and whatever arrives in it."""
        self.answers = []
        self._step += 1
        for worker in self._fleet.workers:
            if worker.alive and worker.table is not None and worker.table.routes and self.rows:
                self._ask(worker, worker.table.routes[0], worker.table.revision)
        self._fleet.lease = False
        self._arrive()

    def calm(self) -> None:
        """Enough traffic, labels in time, a quick network; what was on its way arrives."""
        self.rows, self.labelled, self.labels_after, self.slow_network = 8, True, 1, False
        self._on_the_way = [(min(due, self._step + 1), number, record) for due, number, record in self._on_the_way]

    def _ask(self, worker: Worker, route: Route, revision: int) -> None:
        ids = [f"p{self._sent + number}" for number in range(self.rows)]
        self._sent += self.rows
        yes = [self._draw.random() < 0.5 for _ in ids]
        canary = route.canary if self._fleet.lease else None
        chosen = [canary is not None and canary_answers(name, route.salt, route.canary_weight) for name in ids]
        scored: list[list[str]] = [[] for _ in ids]
        for unit, role, mine in ((route.champion, "champion", False), (canary, "canary", True)):
            rows = [row for row, one in enumerate(chosen) if one is mine]
            if unit is None or not rows:
                continue
            self._answer(worker, unit, role, ([ids[row] for row in rows], [yes[row] for row in rows]), revision)
            shadows = [shadow for shadow in route.shadows if shadow.unit.id != unit.unit.id]
            for shadow in shadows:
                self._answer(worker, shadow, "shadow", ([ids[row] for row in rows], [yes[row] for row in rows]), revision)
            for row in rows:
                scored[row] = [each.unit.id for each in (unit, *shadows) if not self._registry.kind_of(each.unit.version).fails]
        if self.labelled:
            self._label(ids, yes, scored)

    def _answer(self, worker: Worker, unit: ServedUnit, role: str, rows: tuple[list[str], list[bool]], revision: int) -> None:
        ids, yes = rows
        kind, name, at_us = self._registry.kind_of(unit.unit.version), unit.unit.id, micros(self._machine.wall())
        if role != "shadow":
            self.answers += [Answer(worker.name, name, unit.unit.version, role)] * len(ids)
        if kind.fails:
            self._send(
                FailureBatch(at_us=at_us, model="shop", unit=name, role=role, n=len(ids), reason="crash", answered_by=None)
            )
            return
        wrong = (kind.model.wrong > 0.5) != (name in self.turned)
        self._send(
            PredictionBatch(
                at_us=at_us, model="shop", unit=name, role=role, revision=revision, ids=ids, keys=ids,
                columns={} if role == "shadow" else {"x": [1.0 if one else -1.0 for one in yes]},
                scores=[[SAID if one is not wrong else OPPOSITE] for one in yes], latency_us=100,
            ),
            worker.name,
        )  # fmt: skip

    def _label(self, ids: list[str], yes: list[bool], scored: list[list[str]]) -> None:
        at = self._machine.wall() + timedelta(hours=1)
        batch = LabelBatch(
            at_us=micros(at), model="shop", ids=ids, values=["yes" if one else "no" for one in yes], observed_us=[None] * len(ids)
        )  # fmt: skip
        self._on_the_way.append((self._step + self.labels_after, self._sent, batch))
        self.labelled_with += [tuple(units) for units in scored]

    def _send(self, record: Captured, segment: str = "0") -> None:
        if not self.slow_network:
            self.capture.hand_over((record,), segment)
            return
        for _ in range(self._draw.choice((1, 1, 2))):
            self._on_the_way.append((self._step + self._draw.choice((0, 0, 1, 2, 5)), self._draw.randrange(1000), record))

    def _arrive(self) -> None:
        due = [item for item in self._on_the_way if item[0] <= self._step]
        self._on_the_way = [item for item in self._on_the_way if item[0] > self._step]
        for _, number, record in sorted(due, key=lambda item: item[:2]):
            self.capture.hand_over((record,), str(number % 2))
