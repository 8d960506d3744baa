"""A whole project in memory: the engine with shipped fakes of its ports, and traffic that goes where the gateways' table says."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from flyball.adapters.capture_memory import MemoryCapture
from flyball.adapters.clock import SimulatedClock
from flyball.adapters.executor import MemoryExecutor
from flyball.adapters.gateways_memory import MemoryGateways
from flyball.adapters.ledger import MemoryLedger
from flyball.adapters.packages import LocalPackages
from flyball.adapters.registry_memory import MemoryRegistry
from flyball.control import commands, decisions, verification
from flyball.control.engine import Engine
from flyball.control.world import Place, Ports, World, micros
from flyball.errors import ModelFailed
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch
from flyball.records.decisions import Approval
from flyball.records.findings import Finding, WindowSummary
from flyball.records.jobs import Job
from flyball.records.release import Champion, ReleaseState
from flyball.records.routing import RoutingTable, ServedUnit, canary_answers
from flyball.records.unit import Unit
from flyball.spec import ProjectSpec

from engine_models import SIGNATURE, START, Model, Workshop, scores_of, truth  # isort: skip

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

RELEASE: dict[str, Any] = {
    "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 150},
    "steps": [{"traffic": "10%", "at_least": "6h", "at_most": "4d", "min_requests": 10}, {"traffic": "50%", "at_least": "6h", "at_most": "4d", "min_requests": 10}],
    "watch": "1d",
    "margin": 0.05,
}  # fmt: skip
AT_ONCE: dict[str, Any] = {"shadow": None, "steps": [], "watch": "6h", "margin": 0.05, "labels": "never"}


def spec_of(release: dict[str, Any] = RELEASE, policies: list[dict[str, Any]] | None = None, **more: Any) -> ProjectSpec:
    described = {
        "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
        "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y",
                 "label_delay": "1h"},
        "release": release, "policies": policies or [], "monitor": {"min_rows": 20, "mature_share": 0.99},
        **more,
    }  # fmt: skip
    return ProjectSpec.model_validate_json(json.dumps(described))


class Told:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def notify(self, subject: str, words: str) -> None:
        self.heard.append((subject, words))


class Scorer:
    """Asks a package for its scores; `trouble`: why it cannot answer."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.trouble = ""

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        self.asked.append(len(rows))
        if self.trouble:
            raise ModelFailed(self.trouble)
        wrong = LocalPackages().lineage(package).parameters["wrong"]
        return scores_of(wrong, np.array([row["x"] for row in rows]))[:, None]


class Project:
    """One project with its ports, its engine, its clients and the people who give orders."""

    def __init__(
        self, root: Path, spec: ProjectSpec | None = None, wrap: Callable[[Ports], Ports] = lambda ports: ports, workers: int = 1
    ) -> None:
        self.spec = spec or spec_of()
        self.clock = SimulatedClock(START)
        self.ledger = MemoryLedger()
        self.gateways = MemoryGateways(workers)
        self.registry = MemoryRegistry(root / "registry")
        self.workshop = Workshop(root / "packages")
        self.executor = MemoryExecutor(self.workshop.run)
        self.capture = MemoryCapture()
        self.told = Told()
        self.said: list[tuple[str, str]] = []
        self._place = Place(root, root / ".flyball")
        self.scorer = Scorer()
        self._ports = Ports(
            self.clock,
            self.ledger,
            self.executor,
            self.registry,
            self.gateways,
            self.capture,
            LocalPackages(),
            self.told,
            scorer=self.scorer,
        )
        self._wrap = wrap
        self.door = World(self.spec, self._place, self._ports, self._say)
        """As the command line has it: reads, and writes orders."""
        self.shift = 0.0
        """How far the inputs have moved."""
        self.factor = 1.0
        """Of the inputs' unit: what is sent is so many times what it was."""
        self.turned = 0.0
        """Share of the world that has turned against every model."""
        self.turned_above = -np.inf
        """Only rows with an `x` above it have."""
        self.wrong: dict[str, float] = {}
        """Unit → how wrong it answers now, where that differs from how it was made."""
        self.wrong_above: dict[str, float] = {}
        """Unit → from which x on it says the opposite."""
        self.failing: set[str] = set()
        """Units that cannot answer."""
        self.unlabelled = False
        self.label_delay = HOUR
        self.latency_us: dict[str, int] = {}
        """Unit → its model time, where that differs."""
        self.slow_yes = 0 * HOUR
        """How much later than others labels come that say yes."""
        self.constant: dict[str, float] = {}
        """Unit → the score that it gives to everything."""
        self.earns: dict[str, float] = {}
        """Unit → the chance that an answer of its earns 1, where rewards are sent."""
        self.sent = 0
        self.late: list[tuple[datetime, LabelBatch]] = []
        self.engine = self.new_engine()

    # -- controllers

    def new_engine(self, owner: str = "control") -> Engine:
        """A new process: nothing of an earlier one's memory."""
        engine = Engine(World(self.spec, self._place, self._wrap(self._ports), self._say))
        engine.start(owner)
        return engine

    def restart(self) -> None:
        self.engine = self.new_engine()

    def tick(self) -> None:
        """Until nothing moves any more."""
        for _ in range(8):
            before = self.ledger.head(), self.executor.launches
            self.engine.tick()
            if (self.ledger.head(), self.executor.launches) == before:
                return
        raise AssertionError("ticks do not come to rest")

    # -- what people do

    def version(self, model: Model = Model(), by: str = "user:me") -> str:  # noqa: B008 - frozen
        """Order a run, tick until it is done; the unit's id."""
        number = len(self.door.all("job", Job)) + 1
        self.workshop.plans[f"j-{number:04d}"] = model
        commands.order(self.door, "run", by, "")
        self.tick()
        return self.unit_of(number)

    def unit_of(self, job: int) -> str:
        made = self.door.get("job", f"j-{job:04d}", Job)
        assert made is not None
        units = [unit.id for unit in self.door.all("unit", Unit) if unit.version == made.version]
        return units[0] if units else ""

    def first_champion(self) -> str:
        """A settled first version, with a day of labelled traffic behind it."""
        unit = self.version()
        self.live(timedelta(days=8) if self.release().phase != "settled" else DAY)
        return unit

    def roll_back(self, reason: str = "a person says so") -> commands.Command:
        order = commands.order(self.door, "roll_back", "user:me", reason)
        self.tick()
        done = self.door.get("command", order.id, commands.Command)
        assert done is not None
        return done

    # -- traffic

    def live(
        self, duration: timedelta, *, rows: int = 60, step: timedelta = 6 * HOUR, until: Callable[[], bool] | None = None
    ) -> None:
        """Time goes by with `rows` requests in each step; labels come a step later."""
        end = self.clock.now() + duration
        while self.clock.now() < end and not (until and until()):
            self.send(rows)
            self.clock.sleep(step)
            self.deliver()
            self.tick()

    def send(self, rows: int, *, segment: str = "0") -> None:
        """Requests at this moment, answered as the gateways' table says."""
        table = self.gateways.served[min(self.gateways.served)]
        if table is None or not table.routes or rows == 0 or table.routes[0].stopped:
            return
        now = self.clock.now()
        ids = [f"p{self.sent + number}" for number in range(rows)]
        self.sent += rows
        x = np.array([_draw(name, "x") for name in ids]) * 4 - 2
        turned = np.where(x > self.turned_above, self.turned, 0.0)
        y = np.array([_draw(name, "y") for name in ids]) < (1 - turned) * truth(x) + turned * (1 - truth(x))
        answers = self._answers(table, ids, (x + self.shift) * self.factor)
        self.capture.hand_over(answers, segment)
        if not self.unlabelled:
            known = now + self.label_delay
            rewards = self._rewards(ids, answers)
            late = [bool(one) and self.slow_yes > timedelta(0) for one in y]
            for at, chosen in ((known, np.flatnonzero(~np.array(late))), (known + self.slow_yes, np.flatnonzero(late))):
                if chosen.size:
                    labels = LabelBatch(
                        at_us=micros(at), model="shop", ids=[ids[place] for place in chosen],
                        values=["yes" if y[place] else "no" for place in chosen], observed_us=[None] * chosen.size,
                        rewards=[rewards[place] for place in chosen] if rewards else [],
                    )  # fmt: skip
                    self.late.append((at, labels))

    def deliver(self) -> None:
        """Labels that have become known."""
        now = self.clock.now()
        self.capture.hand_over([batch for at, batch in self.late if at <= now])
        self.late = [(at, batch) for at, batch in self.late if at > now]

    def _answers(self, table: RoutingTable, ids: list[str], x: np.ndarray) -> list[Captured]:
        route = table.routes[0]
        chosen = np.array([
            route.canary is not None and canary_answers(name, route.salt, route.canary_weight) for name in ids
        ], dtype=bool)  # fmt: skip
        found: list[Captured] = []
        for unit, role, mine in ((route.canary, "canary", chosen), (route.champion, "champion", ~chosen)):
            if unit is not None and mine.any():
                found.append(self._batch(table, unit, role, [i for i, yes in zip(ids, mine, strict=True) if yes], x[mine]))
        for unit in route.shadows:
            own = (
                ~chosen
                if unit.unit.id == route.champion.unit.id
                else (chosen if route.canary is not None else np.zeros(len(ids), bool))
            )
            if not own.all():
                found.append(self._batch(table, unit, "shadow", [i for i, his in zip(ids, own, strict=True) if not his], x[~own]))
        return found

    def _rewards(self, ids: list[str], answers: list[Captured]) -> list[float | None]:
        if not self.earns:
            return []
        shown = [each for each in answers if isinstance(each, PredictionBatch) and each.role != "shadow"]
        answered = {name: batch.unit for batch in shown for name in batch.ids}
        return [float(_draw(name, "reward") < self.earns.get(answered.get(name, ""), 0.5)) for name in ids]

    def _batch(self, table: RoutingTable, unit: ServedUnit, role: str, ids: list[str], x: np.ndarray) -> Captured:
        at_us, name = micros(self.clock.now()), unit.unit.id
        if name in self.failing:
            return FailureBatch(at_us=at_us, model="shop", unit=name, role=role, n=len(ids), reason="crash", answered_by=None)
        wrong = self.wrong.get(name)
        if wrong is None:
            wrong = LocalPackages().lineage(Path(unit.package)).parameters["wrong"]
        wrong = np.where(x > self.wrong_above.get(name, np.inf), 1.0, wrong)
        scores = scores_of(wrong, x) if name not in self.constant else np.full(len(ids), self.constant[name])
        if unit.unit.calibration is not None:
            scores = unit.unit.calibration.of(scores)
        return PredictionBatch(
            at_us=at_us, model="shop", unit=name, role=role, revision=table.revision, ids=ids, keys=ids,
            columns={} if role == "shadow" else {"x": [float(value) for value in x]},
            scores=[[float(score)] for score in scores],
            latency_us=self.latency_us.get(name, 100) + int(50 * _draw(ids[0], "latency")),
        )  # fmt: skip

    # -- what is seen

    def champion(self) -> Champion | None:
        return self.door.get("champion", "shop", Champion)

    def release(self) -> ReleaseState:
        """The newest."""
        return self.door.all("release", ReleaseState)[-1]

    def releases(self) -> tuple[ReleaseState, ...]:
        return self.door.all("release", ReleaseState)

    def answering(self) -> str | None:
        """Who really answers."""
        table = self.gateways.served[min(self.gateways.served)]
        return table.routes[0].champion.unit.id if table and table.routes and not table.routes[0].stopped else None

    def mentioned(self) -> set[str]:
        """Every unit in the tables of the workers."""
        return {
            unit.unit.id
            for table in self.gateways.served.values() if table is not None
            for route in table.routes
            for unit in (route.champion, route.canary, *route.shadows) if unit is not None
        }  # fmt: skip

    def findings(self) -> tuple[Finding, ...]:
        return self.door.all("finding", Finding)

    def windows(self) -> tuple[WindowSummary, ...]:
        return self.door.all("window", WindowSummary)

    def approvals(self) -> tuple[Approval, ...]:
        return self.door.all("approval", Approval)

    def phases(self, release: str) -> list[str]:
        """That a release went through, each once, as the ledger tells it."""
        gone: list[str] = []
        for event in self.ledger.events():
            for state in event.puts:
                if state.kind == "release" and state.key == release and state.value:
                    phase = state.value["phase"] + (f" {state.value['step']}" if state.value["phase"] == "canary" else "")
                    if gone[-1:] != [phase]:
                        gone.append(phase)
        return gone

    def holds(self) -> None:
        """What is true after every scenario: the ledger verifies, and every decision comes out again byte for byte."""
        report = verification.verify(self.door, self.ledger)
        assert report.ok, report
        assert report.decisions_replayed == len(decisions.recorded(self.door)) > 0
        champion = self.champion()
        assert champion is None or champion.unit in champion.verified
        assert len({release.id for release in self.releases()}) == len(self.releases())

    def _say(self, style: str, words: str) -> None:
        self.said.append((style, words))


def _draw(name: str, what: str) -> float:
    """Uniform in [0, 1), by content: the same request is the same row in every run."""
    return int.from_bytes(hashlib.blake2b(f"{what}{name}".encode(), digest_size=8).digest(), "big") / 2.0**64


__all__ = ["AT_ONCE", "DAY", "HOUR", "RELEASE", "SIGNATURE", "Model", "Project", "spec_of"]
