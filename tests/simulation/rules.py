"""What must hold after every write and after every step, judged on the entries and on what the gateways really did."""

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from tests.simulation.clients import Clients
from tests.simulation.clocks import Machine
from tests.simulation.gateways import Fleet, Truth, weights
from tests.simulation.models import RegistryBook
from tests.simulation.reader import Chain, State, Told, hold

from flyball.records.routing import RoutingTable

ENDS = {"settled", "rolled_back"}
MOVES: dict[str | None, set[str]] = {
    None: {"proposed", "rolling_back"},
    "proposed": {"shadow", "canary", "full", "held", "rolling_back"},
    "shadow": {"canary", "full", "held", "rolling_back"},
    "canary": {"canary", "full", "held", "rolling_back"},
    "full": {"watching", "rolling_back"},
    "watching": {"settled", "rolling_back"},
    "held": {"proposed", "rolling_back"},
    "rolling_back": {"rolling_back", "rolled_back"},
    "settled": set(),
    "rolled_back": set(),
}
FORWARD = {"shadow", "canary", "full", "watching"}
SLEW = 0.05
"""By which a controller's time may run fast, to meet a clock that was set."""


class Terms(msgspec.Struct, frozen=True):
    """What flyball.yaml asks of a release, said once more."""

    at_least: timedelta
    """Of the shadow and of every step."""
    steps: tuple[float, ...]
    shadow_labels: int | None
    """None: no shadow."""
    pairs: int
    """Fewer rows with a label and both scores cannot have given a pass to one that is as good as its champion."""
    pairs_at_best: int
    """Nor fewer than these to one that was right where its champion was wrong."""
    labels: str
    """When quality must have passed."""


class Rules:
    """Reads on after every write; raises Violated."""

    def __init__(self, chain: Chain, terms: Terms, machine: Machine, fleet: Fleet, sides: tuple[Clients, RegistryBook]) -> None:
        self.chain, self.terms, self._machine, self._fleet = chain, terms, machine, fleet
        self._clients, self._registry = sides
        self.epoch = 0
        self.promoted: list[str] = []
        """Units that became champion, in order."""
        self.effects: Counter[str] = Counter()
        """Who ordered, or what an order said, → what came of it."""
        self.ended: dict[str, int] = {}
        """How releases ended: phase → releases."""
        self._verified: dict[str, tuple[datetime, int]] = {}
        """Release → true time since when its phase is served, and the epoch of who saw it."""
        self._gone: set[str] = set()
        """Units whose rollback was verified."""
        self._proposed: set[str] = set()
        self._tables: dict[int, State] = {}
        self._served: dict[tuple[str, int], int] = {}
        """(worker, process) → revision."""

    # -- after every write

    def read(self, epoch: int | None, seen: tuple[Truth, ...]) -> None:
        """`epoch`: of the controller that wrote; None: a person. `seen`: what the gateways really served when that controller last looked."""
        for told in self.chain.news():
            self._by_who_reigns(told, epoch)
            self._states(told)
            if told.kind in ("job.requested", "release.moved"):
                self.effects[str(told.payload.get("cause") or told.payload.get("reason"))] += 1
            for (kind, _), drill in told.put.items():
                if kind == "drill" and drill is not None and told.before[kind, drill["id"]] is None:
                    self.effects[drill["cause"]] += 1
            if told.kind == "release.verified":
                self._seen_to_serve(told.subject, seen)
            self._who_answers()
            for (kind, _), now in told.put.items():
                if kind == "release" and now is not None and now["phase"] == "rolled_back":
                    self._seen_to_be_gone(now, seen)

    def _by_who_reigns(self, told: Told, epoch: int | None) -> None:
        if told.kind == "control.claimed":
            hold(told.payload["epoch"] == self.epoch + 1, f"epoch {told.payload['epoch']} follows epoch {self.epoch}")
            self.epoch = told.payload["epoch"]
        else:
            words = f"a controller of epoch {epoch} wrote {told.kind} while epoch {self.epoch} reigns"
            hold(epoch in (None, self.epoch), words)

    def _states(self, told: Told) -> None:
        for (kind, key), before in told.before.items():
            if kind == "release":
                self._release(told, key, before)
                self._one_release()
            elif kind == "champion":
                self._champion(told, before)
            elif kind == "routing":
                self._routing(told, before)

    def _release(self, told: Told, key: str, before: State | None) -> None:
        now = told.put["release", key]
        hold(now is not None, f"release {key} was removed")
        assert now is not None
        was, phase = (before or {}).get("phase"), now["phase"]
        if was == phase and now.get("step", 0) == (before or {}).get("step", 0):
            if now.get("verified_at") != (before or {}).get("verified_at"):
                self._verified[key] = (self._machine.true, self.epoch)
            return
        hold(phase in MOVES[was], f"{key} went from {was} to {phase}")
        if before is None and phase == "proposed":
            hold(now["challenger"] not in self._proposed, f"{now['challenger']} is proposed a second time")
            self._proposed.add(now["challenger"])
        if before is None:
            hold(self._may_be_released(now, told), f"{key} releases {now['challenger']}, which passed no gate")
        if phase == "canary":
            hold(now.get("step", 0) == (before["step"] + 1 if before and was == "canary" else 0), f"{key} left out a canary step")
        if phase in FORWARD and was != "proposed":
            self._forward(key, was or "", phase)
        judged = phase == "settled" and told.kind == "decision.made"  # not by a newer release that takes its place
        compared = self.terms.shadow_labels is not None or self.terms.steps  # else all at once, and judged while it is watched
        before_full = phase == "full" and self.terms.labels == "before_full" and compared
        if before_full or (judged and self.terms.labels != "never"):
            self._good(key, now)
        self._verified.pop(key, None)
        if phase in ENDS:
            self.ended[phase] = self.ended.get(phase, 0) + 1

    def _may_be_released(self, release: State, told: Told) -> bool:
        units, unit = self.chain.of("unit"), release["challenger"]
        if release["phase"] == "rolling_back":  # somebody takes the champion back
            return unit in self.promoted
        return unit in units and self._registry.kind_of(units[unit]["version"]).model.passes

    def _forward(self, key: str, was: str, phase: str) -> None:
        """No phase is left upwards before it was seen to be served for as long as was asked, in true time, whatever clocks say."""
        hold(key in self._verified, f"{key} went on from {was}, which no gateway was seen to serve")
        since, epoch = self._verified[key]
        lasted = (self._machine.true - since) * (1 + SLEW)
        if was in ("shadow", "canary") and epoch == self.epoch:  # a controller that starts knows only the clock that it finds
            hold(
                lasted >= self.terms.at_least, f"{key} went from {was} to {phase} after {lasted}, asked are {self.terms.at_least}"
            )

    def _good(self, key: str, release: State) -> None:
        """All traffic, or to be settled, only for who is good, and after as many labelled rows as it takes to know."""
        unit, champion = release["challenger"], release["champion"]
        if champion is None:
            return
        kind, beside = (self._registry.kind_of(self.chain.of("unit")[each]["version"]) for each in (unit, champion))
        # Beside a champion that is wrong, another that is wrong is no worse.
        if beside.may_be_champion and not {unit, champion} & self._clients.ever_turned:
            hold(kind.may_be_champion, f"{key} is {release['phase']} with {unit}, which is {kind.name}")
        pairs = sum({unit, champion} <= set(scored) for scored in self._clients.labelled_with)
        maybe_better = not beside.may_be_champion or champion in self._clients.ever_turned
        enough = self.terms.pairs_at_best if maybe_better else self.terms.pairs
        needed = max(enough, (self.terms.shadow_labels or 0) if release["phase"] == "full" else 0)
        hold(pairs >= needed, f"{key} is {release['phase']} after {pairs} labelled rows, needed are {needed}")

    def _champion(self, told: Told, before: State | None) -> None:
        ((_, now),) = [item for item in told.put.items() if item[0][0] == "champion"]
        if told.kind == "champion.dated":  # by a clock that was ahead, and earlier now: nobody's hand
            hold(before is not None and now == {**before, "since": now["since"]}, f"{told.kind} made {now} of {before}")
            hold(before is not None and now["since"] < before["since"], f"{told.kind} dated {now} later")
            return
        ((_, release),) = [item for item in told.put.items() if item[0][0] == "release"]
        assert now is not None
        assert release is not None
        hold(release["phase"] in ("full", "rolled_back"), f"the champion changed hands in {release['phase']}")
        due = release["challenger"] if release["phase"] == "full" else release["champion"]
        hold(now["unit"] == due, f"{now['unit']} is champion, {release['id']} says {due}")
        hold(now["unit"] not in self._gone, f"{now['unit']} is champion again after its rollback")
        if release["phase"] == "full":
            self.promoted.append(now["unit"])
        hold(now["unit"] in self.promoted, f"{now['unit']} is champion and was never seen to be")

    def _routing(self, told: Told, before: State | None) -> None:
        ((_, now),) = [item for item in told.put.items() if item[0][0] == "routing"]
        assert now is not None
        hold(
            now["revision"] == (before["revision"] if before else 0) + 1,
            f"revision {now['revision']} follows {before and before['revision']}",
        )
        hold(len(now["routes"]) <= 1, "a model has two routes")
        self._tables[now["revision"]] = now

    def _one_release(self) -> None:
        under_way = [release["id"] for release in self.chain.of("release").values() if release["phase"] not in ENDS]
        hold(len(under_way) <= 1, f"two releases are under way: {under_way}")

    def _who_answers(self) -> None:
        """The routing is what champion and release ask for, after every entry: they are written together."""
        routing, champion = self.chain.of("routing").get("shop"), self.chain.of("champion").get("shop")
        route = routing["routes"][0] if routing and routing["routes"] else None
        found = (
            (route["champion"]["unit"]["id"], (route.get("canary") or {}).get("unit", {}).get("id")) if route else (None, None)
        )
        weight = route.get("canary_weight", 0.0) if route else 0.0
        release = next((r for r in self.chain.of("release").values() if r["phase"] not in ENDS), None)
        phase = release["phase"] if release else ""
        due: tuple[str | None, str | None] = (champion["unit"] if champion else None, None)
        cap = 0.0
        if release and phase in ("full", "watching"):
            due = (release["challenger"], None)
        elif release and phase == "canary":
            due, cap = (release["champion"], release["challenger"]), self.terms.steps[release.get("step", 0)]
        elif release:
            due = (release["champion"], None)
        hold(
            found == due,
            f"the routing has {found} as champion and canary, {release['id'] if release else 'no release'} in {phase} asks for {due}",
        )
        hold(weight == cap, f"the canary has {weight}, allowed is {cap}")

    def _seen_to_serve(self, subject: str, seen: tuple[Truth, ...]) -> None:
        revision = self.chain.of("routing")["shop"]["revision"]
        hold(seen, f"{subject} was called verified without a gateway")
        for worker in seen:
            same = worker.revision is not None and self.same(worker.revision, revision)
            hold(
                worker.heard and same,
                f"{subject} was called verified, worker {worker.worker} served {worker.revision} of {revision}",
            )
            hold(worker.right_bytes, f"{subject} was called verified, worker {worker.worker} has other bytes")

    def same(self, one: int, other: int) -> bool:
        """Two revisions with the same routes serve the same."""
        return self._tables[one]["routes"] == self._tables[other]["routes"]

    def _seen_to_be_gone(self, release: State, seen: tuple[Truth, ...]) -> None:
        unit, routed = release["challenger"], self.chain.of("routing").get("shop")
        hold(seen or routed is None, f"the rollback of {unit} was called done without a gateway")
        for worker in seen:
            hold((worker.heard or routed is None) and unit not in worker.units,
                 f"the rollback of {unit} was called done, worker {worker.worker} served {worker.units}, heard: {worker.heard}")  # fmt: skip
        self._gone.add(unit)

    # -- what is published, and what answers

    def published(self, table: RoutingTable) -> None:
        """Nothing is published that the ledger does not have."""
        hold(
            self._tables.get(table.revision) == json.loads(msgspec.json.encode(table)),
            f"revision {table.revision} was published and is not in the ledger",
        )
        if table.routes:
            champion, canary = weights(table)
            hold(abs(champion + canary - 1.0) < 1e-12 and champion > 0, f"the weights are {champion} and {canary}")

    def step(self) -> None:
        """After a step's traffic: who answered, and what is served and lies on the disk."""
        workers = {worker.name: worker for worker in self._fleet.workers}
        for answer in self._clients.answers:
            if answer.unit in self._gone and not workers[answer.worker].from_restored:
                hold(False, f"worker {answer.worker} answered with {answer.unit} as {answer.role}, whose rollback was verified")
        for worker in workers.values():
            if worker.table is not None:
                life, revision = (worker.name, worker.pid), worker.table.revision
                hold(revision >= self._served.get(life, 0), f"worker {worker.name} went back to revision {revision}")
                self._served[life] = revision
        log = self._fleet.on_disk
        for (_, before), (how, revision) in pairwise(log):
            hold(how == "restored" or revision > before, f"revision {revision} was published over {before}")
        del log[:-1]

    # -- when all is quiet

    def settled(self, acknowledged: list[str]) -> None:
        """Every order that was acknowledged is settled, once, with its one effect; of those that were not, the same, or they never were."""
        commands, counts = self.chain.of("command"), self.chain.counts
        for order in acknowledged:
            hold(order in commands, f"the order {order} is lost")
        for order, command in commands.items():
            settled = counts.get(("command.settled", f"command:{order}"), 0)
            hold(
                command["status"] in ("done", "refused") and settled == 1,
                f"the order {order} is {command['status']}, settled {settled} times",
            )
            of = f"ordered by {command['actor']}: {command['reason']}" if command["kind"] == "roll_back" else command["actor"]
            effects, done = self.effects[of], command["status"] == "done"
            joined = command["kind"] == "drill" and effects == 0  # one that went on already
            hold(effects == done or joined, f"the order {order} is {command['status']}, and was carried out {effects} times")
        for (kind, subject), times in counts.items():
            once = kind in ("approval.answered", "job.finished", "job.failed", "release.opened", "command.ordered")
            hold(times == 1 or not once, f"{kind} of {subject} is there {times} times")
        units = [job.get("unit") for job in self.chain.of("job").values() if job["status"] == "registered"]
        hold(len(units) == len(set(units)), f"two jobs made the same unit: {units}")
