"""A project in memory with real models: the engine as in production, the ports' shipped fakes, and clients that go where the routing table says."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.faults.model import Fitted, Floats, Known, make
from bench.faults.tables import Columns
from flyball.adapters.capture_memory import MemoryCapture
from flyball.adapters.clock import SimulatedClock
from flyball.adapters.executor import MemoryExecutor
from flyball.adapters.gateways_memory import MemoryGateways
from flyball.adapters.ledger import MemoryLedger
from flyball.adapters.packages import LocalPackages
from flyball.adapters.registry_memory import MemoryRegistry
from flyball.control import commands
from flyball.control.engine import Engine
from flyball.control.ports import StepRequest
from flyball.control.world import Place, Ports, World, micros
from flyball.records.captured import LabelBatch, PredictionBatch
from flyball.records.jobs import Job, StepResult
from flyball.records.release import Champion
from flyball.records.routing import RoutingTable, ServedUnit, canary_answers
from flyball.spec import ProjectSpec
from flyball.spec.fields import parse_duration

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY, STEP = timedelta(days=1), timedelta(hours=6)
FOREVER = timedelta(days=10_000)


class Sent(NamedTuple):
    """Rows as they are asked for, what is true of them, and what is said of them later."""

    columns: Columns
    truth: Floats
    said: Floats
    faulty: bool

    def of(self, mask: NDArray[Any]) -> "Sent":
        return Sent({name: of[mask] for name, of in self.columns.items()}, self.truth[mask], self.said[mask], self.faulty)


def spec_of(policies: list[dict[str, Any]], columns: Columns, release: dict[str, Any]) -> ProjectSpec:
    features = {name: {"type": "category" if of.dtype == object else "number"} for name, of in columns.items()}
    return ProjectSpec.model_validate_json(json.dumps({
        "project": "faults", "model": "faults", "task": "binary", "train": {"entrypoint": "pipeline:train"},
        "data": {"source": {"files": "*.csv"}, "features": features, "time": "at", "key": "id", "label": "y", "label_delay": "2d"},
        "evaluate": {"primary": "brier"}, "gates": {"champion": {"metric": "brier", "margin": 0.02}}, "release": release,
        "policies": policies, "monitor": {"window": "1d", "min_rows": 50},
    }))  # fmt: skip


class Told:
    """The person who is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def notify(self, subject: str, words: str) -> None:
        self.heard.append(f"{subject}: {words}")


class Project:
    def __init__(self, root: Path, spec: ProjectSpec, seed: int) -> None:
        self.clock = SimulatedClock(START)
        self.ledger, self.gateways, self.capture, self.told = MemoryLedger(), MemoryGateways(), MemoryCapture(), Told()
        self.fitted: dict[str, Fitted] = {}
        """Package digest of the model's file → the model."""
        self.trained: list[tuple[datetime, int, int]] = []
        """When, on how many rows, and how many of them were broken upstream."""
        self.known: list[tuple[datetime, Known]] = []
        """What is known of the past, with the time at which its labels came."""
        self.broken_in: Callable[[Columns], Columns] | None = None
        """What a unit that is served wrongly makes of its columns."""
        self.broken_unit = ""
        self.delay = timedelta(hours=24)
        """Of labels, on average."""
        self.losses: list[tuple[datetime, float]] = []
        """True mean loss of each step's answers."""
        self._draw = np.random.default_rng([seed, 1])
        self._late: list[tuple[datetime, LabelBatch]] = []
        self._sent = 0
        self._root, self._spec = root, spec
        ports = Ports(
            self.clock, self.ledger, MemoryExecutor(self._run), MemoryRegistry(root / "registry"), self.gateways, self.capture, LocalPackages(), self.told
        )  # fmt: skip
        self.world = World(spec, Place(root, root / ".flyball"), ports, lambda _style, _words: None)
        self.engine = Engine(self.world)
        self.engine.start("bench")

    # -- versions

    def version(self) -> None:
        """A person orders a run."""
        commands.order(self.world, "run", "user:bench", "")
        self.tick()

    def learn(self, sent: Sent, at: datetime, until: datetime | None = None) -> None:
        """Rows of the past, evenly until now or another time, whose labels are known."""
        span = ((until or at) - at) / timedelta(microseconds=1)
        n = sent.said.size
        at_us = micros(at) + (np.arange(n) * (span / max(n, 1))).astype(np.int64)
        self.known.append((until or at, Known(sent.columns, sent.said, at_us, np.full(n, sent.faulty))))

    def _run(self, request: StepRequest, _tell: object) -> list[StepResult]:
        history = request.job.overrides.get("history")
        reach = FOREVER if history in (None, "all") else parse_duration(history)
        parts = [known for at, known in self.known if at <= request.job.as_of]
        since = micros(request.job.as_of - reach) if reach < FOREVER else 0
        known = _since(_together(parts), since)
        self.trained.append((request.job.as_of, known.labels.size, int(known.faulty.sum())))
        champion = self.world.get("champion", "faults", Champion)
        served = self.fitted.get(_content(Path(self.engine.shelf.served(champion.unit).package))) if champion else None
        place = self._root / "packages" / request.job.id
        made = make(place, request, known, served)
        self.fitted[_content(place)] = made
        return [StepResult(step="package", key=request.job.id, values={"package": str(place)}, seconds=0.0)]

    # -- time

    def tick(self) -> None:
        for _ in range(12):
            before = self.ledger.head()
            self.engine.tick()
            if self.ledger.head() == before:
                return

    def live(self, sent: Sent) -> None:
        """A quarter of a day, with these requests at its beginning."""
        if sent.said.size:
            self._answer(sent)
        self.clock.sleep(STEP)
        now = self.clock.now()
        self.capture.hand_over([batch for at, batch in self._late if at <= now])
        self._late = [(at, batch) for at, batch in self._late if at > now]
        self.tick()

    def _answer(self, sent: Sent) -> None:
        table, now = self.gateways.served["0"], self.clock.now()
        if table is None or not table.routes:
            return
        ids = [f"p{self._sent + place}" for place in range(sent.said.size)]
        self._sent += len(ids)
        self.losses.append((now, self._batches(table, ids, sent)))
        delays = self.delay * self._draw.uniform(0.5, 1.5, len(ids))
        for part in np.array_split(np.argsort(delays), 4):
            known_at = now + delays[part[-1]]
            labels = LabelBatch(
                at_us=micros(known_at), model="faults", ids=[ids[k] for k in part], values=[str(int(sent.said[k])) for k in part],
                observed_us=[None] * len(part),
            )  # fmt: skip
            self._late.append((known_at, labels))
            self.learn_known(sent.of(part), now, known_at)

    def learn_known(self, sent: Sent, at: datetime, known_at: datetime) -> None:
        at_us = np.full(sent.said.size, micros(at))
        self.known.append((known_at, Known(sent.columns, sent.said, at_us, np.full(sent.said.size, sent.faulty))))

    def _batches(self, table: RoutingTable, ids: list[str], sent: Sent) -> float:
        route = table.routes[0]
        canary = np.asarray([route.canary is not None and canary_answers(name, route.salt, route.canary_weight) for name in ids])
        lost, shown = 0.0, len(ids)
        for unit, role, mine in ((route.canary, "canary", canary), (route.champion, "champion", ~canary)):
            if unit is not None and mine.any():
                scores = self._batch(table, unit, role, [name for name, yes in zip(ids, mine, strict=True) if yes], sent.of(mine))
                lost += float(((scores - sent.truth[mine]) ** 2).sum())
        for unit in route.shadows:
            own = (
                ~canary
                if unit.unit.id == route.champion.unit.id
                else (canary if route.canary is not None else np.zeros(len(ids), dtype=bool))
            )
            if not own.all():
                self._batch(table, unit, "shadow", [name for name, his in zip(ids, own, strict=True) if not his], sent.of(~own))
        return lost / shown

    def _batch(self, table: RoutingTable, unit: ServedUnit, role: str, ids: list[str], sent: Sent) -> Floats:
        wrong = self.broken_in is not None and unit.unit.id == self.broken_unit
        asked = self.broken_in(sent.columns) if wrong and self.broken_in is not None else sent.columns
        scores = self.fitted[_content(Path(unit.package))](asked)
        columns: dict[str, list[Any]] = {
            name: [value or None for value in of] if of.dtype == object else [None if value != value else value for value in of.tolist()]  # noqa: PLR0124 - only NaN differs from itself
            for name, of in sent.columns.items()
        }  # fmt: skip
        self.capture.hand_over([PredictionBatch(
            at_us=micros(self.clock.now()), model="faults", unit=unit.unit.id, role=role, revision=table.revision, ids=ids, keys=ids,
            columns={} if role == "shadow" else columns, scores=[[value] for value in scores.tolist()],
            latency_us=int(100 * np.exp(self._draw.normal(0.0, 0.3))),
        )])  # fmt: skip
        return scores

    def jobs(self) -> tuple[Job, ...]:
        return self.world.all("job", Job)

    def champion(self) -> Champion | None:
        return self.world.get("champion", "faults", Champion)


def _content(package: Path) -> str:
    return (package / "model" / "model.lgb").read_text()


def _since(known: Known, since_us: int) -> Known:
    kept = known.at_us >= since_us
    columns = {name: of[kept] for name, of in known.columns.items()}
    return Known(columns, known.labels[kept], known.at_us[kept], known.faulty[kept])


def _together(parts: list[Known]) -> Known:
    at_us = np.concatenate([part.at_us for part in parts])
    order = np.argsort(at_us, kind="stable")
    columns = {name: np.concatenate([part.columns[name] for part in parts])[order] for name in parts[0].columns}
    return Known(
        columns, *(np.concatenate([getattr(part, name) for part in parts])[order] for name in ("labels", "at_us", "faulty"))
    )
