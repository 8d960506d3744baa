"""One seed, one world: the real engine on the real ledger, everything else simulated, one thread."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench.release.reader import Entry
from tests.simulation.chaos import Chaos, Exposed, People
from tests.simulation.clients import Clients
from tests.simulation.clocks import Machine
from tests.simulation.fuse import Fuse
from tests.simulation.gateways import Fleet
from tests.simulation.models import Bench, RegistryBook, SharedPackages, Workshop
from tests.simulation.processes import Process, Stage
from tests.simulation.reader import Chain, FileSource, MemorySource, Violated, hold
from tests.simulation.rules import Rules, Terms

from flyball.adapters.ledger import MemoryLedger, SqliteLedger
from flyball.control import decisions
from flyball.spec import ProjectSpec

START = datetime(2026, 1, 5, tzinfo=UTC)
STEP = timedelta(hours=6)
TROUBLED_STEPS = 18
QUIET_STEPS = 60
"""By then everything must have come to rest: the sum of all deadlines of one release is 28 steps."""
PACKAGES = SharedPackages()


class Outcome(NamedTuple):
    """What became of a world."""

    seed: int
    head: str
    """Hash of the last entry: the same seed gives the same."""
    entries: int
    processes: int
    releases: int
    promoted: int
    rolled_back: int
    quiet_steps: int
    """Until all was at rest."""


Plan = tuple[ProjectSpec, Terms]


def plan_of(draw: Random, *, watched: bool) -> Plan:
    """A short release policy. `watched`: with daily windows and policies of the autopilot, which cost time."""
    shadow = {"at_least": "6h", "at_most": "2d", "min_labels": 30} if draw.random() < 0.75 else None
    strategy = draw.choice(("canary", "canary", "canary", "blue_green"))
    shares = () if strategy == "blue_green" else draw.choice(((0.2,), (0.1, 0.5), (0.5,)))
    labels = draw.choice(("before_full", "before_full", "while_watching", "never"))
    if labels == "before_full" and not shadow and not shares:
        labels = "while_watching"  # nothing comes before all traffic
    steps = [{"traffic": share, "at_least": "6h", "at_most": "2d", "min_requests": 4} for share in shares]
    old = {
        "name": "old",
        "when": "champion.age_days >= 2",
        "do": "retrain",
        "cooldown": "60d",
        **draw.choice(({}, {"needs": "approval"})),
    }
    described = {
        "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
        "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y",
                 "label_delay": "1h"},
        "release": {"strategy": strategy, "shadow": shadow, "steps": steps, "watch": "12h", "margin": 0.3, "labels": labels,
                    "approval": draw.random() < 0.3, "drill": draw.choice((None, None, "3d"))},
        "policies": [old] if watched else [],
        "monitor": {"min_rows": 20, "mature_share": 0.99, "window": "1d" if watched else "60d"},
    }  # fmt: skip
    # Loss differences of 0 and of −0.7 in a row, a margin of 0.3 and four hundredths of alpha: so many make the interval's end pass.
    terms = Terms(at_least=STEP, steps=shares, shadow_labels=30 if shadow else None, pairs=17, pairs_at_best=7, labels=labels)
    return ProjectSpec.model_validate(described), terms


PREFIX = f"flyball-seed-{os.getpid()}-"
"""Of directories of worlds on real files: others may play some on this machine."""


class Simulation:
    """One world. `run` plays it to its end."""

    def __init__(self, seed: int, *, on_disk: bool = False, always: Sequence[str] = (), plan: Plan | None = None) -> None:
        """`always`: kinds of trouble that it has for certain. `plan`: None, drawn from the seed."""
        self.seed = seed
        self._draw = Random(seed)
        spec, terms = plan or plan_of(self._draw, watched=seed % 10 == 0)
        self.machine, self.fleet = Machine(START), Fleet(self._draw.choice((1, 2, 2, 3)))
        self._directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_fast())) if on_disk else None
        self.ledger: Any = SqliteLedger(self._directory) if self._directory else MemoryLedger()
        self._opened: list[SqliteLedger] = []
        self.workshop = workshop = Workshop(Random(f"{seed} workshop"))
        self.registry = RegistryBook(workshop)
        self.clients = Clients(Random(f"{seed} clients"), self.machine, self.fleet, self.registry)
        bench = Bench(workshop)
        others = {
            "executor": bench, "registry": self.registry, "capture": self.clients.capture, "packages": PACKAGES
        }  # fmt: skip
        self.stage = Stage(spec, self.machine, self.fleet, self._open_ledger, others)
        self._source = FileSource(self._directory) if self._directory else MemorySource(self.ledger)
        self.chain = Chain(self._source)
        self.rules = Rules(self.chain, terms, self.machine, self.fleet, (self.clients, self.registry))
        self.stage.written, self.stage.published = self.rules.read, self.rules.published
        self.door = self.stage.door()
        self.people = People(self._draw, self.door)
        self.processes: list[Process] = []
        exposed = Exposed(
            self.machine, self.fleet, self.stage.disk, self.clients, self.registry, bench, self.people,
            lambda: list(self.chain.of("unit")), self._reboot,
        )  # fmt: skip
        self.chaos = Chaos(Random(f"{seed} chaos"), exposed, always)
        self.started = 0
        self.rows: Sequence[Entry] = ()
        """All entries, once it was played."""
        self._calm = False

    def run(self) -> Outcome:
        """Raises Violated."""
        try:
            for _ in range(TROUBLED_STEPS):
                self.chaos.step()
                self._live()
            return self._rest()
        except Violated as violated:
            raise Violated(f"seed {self.seed}: {violated}") from violated
        finally:
            self.rows = self._source.after(0)
            self._close()

    def _close(self) -> None:
        if isinstance(self._source, FileSource):
            self._source.close()
            for each in (self.ledger, *self._opened):
                each.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _live(self) -> None:
        """One step: time goes by, traffic comes, every controller has a turn."""
        self._time_goes_by()
        if not self._calm and self._draw.random() < self.chaos.rivals:
            self._start()
        for _ in range(6):  # a supervisor starts a dead one again, at once or a step later
            if not any(not process.fenced for process in self.processes):
                self._start()
            self._turns()
            if self._draw.random() < 0.85 and any(not process.fenced for process in self.processes):
                return

    def _time_goes_by(self) -> None:
        self.machine.go_on(STEP if self._calm else self._draw.choice((STEP / 3, STEP, STEP)))
        self.clients.step()
        self.rules.step()
        self.fleet.look()

    def _turns(self) -> None:
        for process in list(self.processes):
            process.tick()
            if process.over or (process.fenced and self._draw.random() < 0.5):
                process.end()
                self.processes.remove(process)

    def _reboot(self) -> None:
        for process in self.processes:
            process.end()
        self.processes.clear()

    def _open_ledger(self) -> Any:
        """Each process has the files open for itself."""
        if self._directory is None:
            return self.ledger
        opened = SqliteLedger(self._directory)
        self._opened.append(opened)
        return opened

    def _start(self) -> None:
        fuse = Fuse()
        if not self._calm and self._draw.random() < self.chaos.deaths:
            fuse = Fuse({self._draw.choice((1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30))}, after=self._draw.random() < 0.5)
            if self._draw.random() < 0.3:
                fuse.instead = self._stand_still
        self.started += 1
        self.processes.append(Process(self.stage, f"control-{self.started}", fuse))

    def _stand_still(self) -> None:
        """In the middle of a write, for longer than any lease: another takes over and works; then this one goes on with its write."""
        if self._draw.random() < 0.3:
            return
        self.started += 1
        another = Process(self.stage, f"control-{self.started}", Fuse())
        self.processes.append(another)
        for _ in range(self._draw.choice((1, 1, 2, 3))):
            another.tick()
            if self._draw.random() < 0.5:
                self._time_goes_by()

    def _rest(self) -> Outcome:
        """The faults stop; then everything has to come to an end by itself, but for what only people can answer."""
        self.chaos.calm()
        self._calm = True
        if self._draw.random() < 0.5:
            self._reboot()
        steps, chain = self._until_at_rest(), self.chain
        self._audit()
        return Outcome(
            self.seed, chain.hash, chain.seq, self.started, len(chain.of("release")), len(self.rules.promoted),
            self.rules.ended.get("rolled_back", 0), steps,
        )  # fmt: skip

    def _audit(self) -> None:
        """All that was written, once more and as a whole; also by the product's own `verify`."""
        self.chain.whole()
        self.rules.settled(self.people.acknowledged)
        made = decisions.recorded(self.door)
        hold(all(map(decisions.replays_equal, made)), "a decision does not replay byte for byte")
        hold(self.ledger.verify() == (), "the ledger does not verify")

    def _until_at_rest(self) -> int:
        """Steps that it took."""
        still, steps = 0, 0
        while still < 2:
            steps += 1
            hold(steps <= QUIET_STEPS, f"not at rest after {QUIET_STEPS} quiet steps: {self._at_rest() or 'it still writes'}")
            self.people.answer(yes=True)
            before = self._written()
            self._live()
            still = still + 1 if self._written() == before and self._at_rest() == "" else 0
        return steps

    def _written(self) -> int:
        """Entries but for claims: a controller that was started again has moved nothing."""
        return self.chain.seq - sum(times for place, times in self.chain.counts.items() if place[0] == "control.claimed")

    def _at_rest(self) -> str:
        """Empty, or what is not."""
        chain = self.chain
        for kind, word, ends in (
            ("release", "phase", ("settled", "rolled_back", "held")),
            ("job", "status", ("registered", "refused", "failed")),
            ("command", "status", ("done", "refused")),
        ):
            going_on = [key for key, state in chain.of(kind).items() if state[word] not in ends]
            if going_on:
                return f"{kind} {going_on[0]} is {chain.of(kind)[going_on[0]][word]}: {' '.join(self.stage.said[-2:])}"
        if drills := [drill["id"] for drill in chain.of("drill").values() if drill["ended_at"] is None]:
            return f"drill {drills[0]} goes on"
        if chain.of("trouble"):
            return f"trouble: {chain.of('trouble')}"
        routing = chain.of("routing").get("shop")
        behind = [
            w.worker
            for w in self.fleet.truth()
            if routing and not (w.revision and self.rules.same(w.revision, routing["revision"]))
        ]
        return f"workers {behind} do not serve what is wanted" if behind else ""


def _fast() -> Path | None:
    """Memory, where there is such a place: what is simulated here is the order of writes; what a disk loses, others tests try."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


def simulation_of(seed: int) -> Simulation:
    """The world of a seed. Every twenty-fifth lies on real SQLite files, every tenth is watched day by day."""
    return Simulation(seed, on_disk=seed % 25 == 0)


def play(seed: int) -> Outcome:
    """Raises Violated."""
    return simulation_of(seed).run()
