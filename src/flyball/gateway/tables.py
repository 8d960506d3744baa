"""The routing table that is served: read, loaded completely, swapped in one step, given back when its last request is done."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import msgspec

from flyball.capture.keeping import Keeper
from flyball.errors import ArtifactDamaged, Conflict, FlyballError, HttpRefused, StoreUnavailable
from flyball.gateway.arms import ArmKeys
from flyball.gateway.batches import Job
from flyball.gateway.breaker import Breaker
from flyball.gateway.keepers import Keepers
from flyball.gateway.problems import no_table
from flyball.gateway.queueing import Queue, Turns
from flyball.gateway.readers import Readers
from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.servable import accepted, remaining
from flyball.gateway.units import LoadedModel, Shelf
from flyball.records import codec
from flyball.records.routing import Places, Route, RoutingTable, ServedUnit, share
from flyball.records.scores import Scores
from flyball.records.words import NO_TABLE

STAND_IN_SECONDS, SLOWER = 2.0, 10.0
"""A client that names no deadline waits for a challenger no longer than this and ten times what its calls took when it was loaded: one that hangs would
cost each of its clients the five seconds of a code model's deadline, and its circuit half a minute to open."""

log = logging.getLogger("flyball.gateway")


class LiveUnit:
    """A routed unit with its loaded model."""

    def __init__(self, served: ServedUnit, model: LoadedModel) -> None:
        self.id = served.unit.id
        self.served = served
        self.model = model
        self.names = tuple(column.name for column in served.signature.columns)
        self.threshold = 0.5 if served.unit.threshold is None else served.unit.threshold
        self.breaker = Breaker()
        given = served.unit.calibration
        self._answers = None if given is None else given.function()

    def score(self, columns: Columns, n: int) -> Scores:
        """What the unit answers, (n, n_scores): its model's scores, through its calibration if it has one. Raises ModelFailed."""
        return self._calibrated(self.model.score(columns, n))

    def begin(self, columns: Columns, n: int) -> Awaitable[Scores] | None:
        """As `score`, on the event loop; None: in a thread it is (`Runtime.begin`)."""
        begun = self.model.begin(columns, n)
        return None if begun is None else self._answered(begun)

    async def _answered(self, begun: Awaitable[Scores]) -> Scores:
        return self._calibrated(await begun)

    def _calibrated(self, scores: Scores) -> Scores:
        return scores if self._answers is None else self._answers(scores)

    def patience(self, n: int) -> float:
        """Seconds for a call of `n` rows that another unit can answer as well, where the caller named no deadline."""
        return STAND_IN_SECONDS + SLOWER * self.model.call_seconds * n


class LiveRoute:
    """One model's route, ready to answer."""

    def __init__(self, route: Route, units: dict[str, LiveUnit], keeper: Keeper | None, declared: Route, max_rows: int) -> None:
        """`declared`: as the table has it, with those that could not be loaded."""
        self.route = route
        self.keeper = keeper
        """None: capture keeps everything."""
        self.model = route.model
        self.whole = self
        """Of a copy: the route that it is a part of."""
        self.units = tuple(units.values())
        self.champion = units[route.champion.unit.id]
        self.canary = units[route.canary.unit.id] if route.canary and route.canary_weight > 0 else None
        self.arms = tuple(units[arm.unit.unit.id] for arm in route.arms)
        self._places, self._canary_share = Places(route.salt), share(route.canary_weight)
        self.arm_keys = ArmKeys([arm.weight for arm in route.arms], route.arms_salt) if route.arms else None
        self.fallback = units[route.fallback.unit.id] if route.fallback else None
        self.shadows = tuple(units[each.unit.id] for each in route.shadows)
        self._shadow_places, self._shadow_share = Places(f"{route.salt}/shadow"), share(route.shadow_share)
        self.last = self.fallback or self.champion
        """Nobody stands in for it."""
        answering = (self.champion, self.canary, self.fallback, *self.arms)
        self.inline_rows = min(unit.model.inline_rows for unit in answering if unit is not None)
        """Up to this many rows every unit of the route is fast enough for the event loop; 0: never."""
        self.queue = Queue(route.model, on_loop=self.inline_rows > 0)
        self.turns = Turns(route.model)
        readers = Readers(declared, self.last.served, max_rows)
        self._alone = readers.where_last(self.champion.served)  # made here, beside the event loop
        self.read_by(readers)

    def read_by(self, readers: Readers) -> None:
        self.signature, self.columns, self.tolerated = readers.signature, readers.own, readers.tolerated
        self.reader, self.tensors, self.builder = readers.rows, readers.tensors, readers.builder
        self.borders = {unit.id: readers.borders(unit.served) for unit in self.units}

    @cached_property
    def champion_only(self) -> "LiveRoute":
        """Without whoever else may answer, and with a queue of its own: for clients that name a version."""
        alone = copy.copy(self)
        alone.canary, alone.arms, alone.arm_keys, alone.fallback, alone.last = None, (), None, None, self.champion
        alone.queue, alone.sure = Queue(self.model, on_loop=self.inline_rows > 0), alone
        alone.read_by(self._alone)
        return alone

    @cached_property
    def sure(self) -> "LiveRoute":
        """For requests that no challenger is to answer: with a queue of its own, in which nobody waits for one. Itself where there is none."""
        if self.canary is None and not self.arms:
            return self
        sure = copy.copy(self)
        sure.canary, sure.arms, sure.arm_keys = None, (), None
        sure.inline_rows = min(unit.model.inline_rows for unit in (self.champion, self.last))
        sure.queue = Queue(self.model, on_loop=sure.inline_rows > 0)
        return sure

    def go_on_from(self, before: "LiveRoute") -> None:
        """Take over what outlives a table: whose turn it is, the circuits of units that are still there, and how slow models are that answer as
        before. On the event loop, before anything is answered."""
        self.turns = before.turns
        known = {unit.id: unit for unit in before.units}
        for unit in self.units:
            was = known.get(unit.id, unit)
            if was.model is unit.model:
                unit.breaker = was.breaker
        for lane, then in zip(self.lanes, before.lanes, strict=True):
            if lane.answering == then.answering:
                lane.queue.go_on_from(then.queue)

    def bound(self, jobs: Sequence[Job]) -> float | None:
        """As of the queue's deaths; None, too, where others may be asked before the last unit."""
        alone = self.last is self.champion and self.canary is None and not self.arms
        return self.queue.deaths.bound(jobs, self.last.model.dying_seconds) if alone else None

    @property
    def lanes(self) -> tuple["LiveRoute", ...]:
        return self, self.sure, self.champion_only

    @property
    def answering(self) -> list[LoadedModel]:
        """Where none fails."""
        return [unit.model for unit in (self.champion, self.canary, *self.arms) if unit is not None]

    def chosen(self, keys: Sequence[str], *, canaries: bool) -> list[tuple[LiveUnit, str, list[int]]]:
        """(who answers, in which role, which of the keys); `canaries`: whether they may."""
        rest: Sequence[int] = range(len(keys))
        taken: list[tuple[LiveUnit, str, list[int]]] = []
        if canaries and self.canary is not None:
            mine = self._places.below(keys, self._canary_share)
            if mine:
                taken.append((self.canary, "canary", mine))
                rest = sorted(set(rest).difference(mine))
        if self.arm_keys is not None:
            *arms, rest = self.arm_keys.divided(keys, rest)
            taken += [(unit, "arm", mine) for unit, mine in zip(self.arms, arms, strict=True) if mine]
        return [*taken, (self.champion, "champion", [*rest])] if rest else taken

    def shadowed(self, keys: Sequence[str]) -> list[int] | None:
        """Which of the keys the shadows score; None: all. Apart from the canary's division, so that both sides of it are compared."""
        return None if self.route.shadow_share >= 1.0 else self._shadow_places.below(keys, self._shadow_share)


class LiveTable:
    def __init__(
        self, table: RoutingTable, routes: dict[str, LiveRoute], taken: list[ServedUnit], fingerprints: dict[str, str]
    ) -> None:
        self.revision = table.revision
        self.digest = table.digest
        self.routes = routes
        self.taken = taken
        self.fingerprints = fingerprints
        self.without: dict[str, str] = {}
        """Unit → why it could not be loaded: only at a start, when there was no table to go on with."""
        self.absent: set[str] = set()
        """Models of which nobody is left to answer."""
        self.users = 0
        """Requests and shadow jobs that still use its models."""
        self.retired = False
        self.given_back = False
        """Its models: once, whoever may still hold it by mistake; they may be another table's, too."""

    def go_on_from(self, before: "LiveTable") -> None:
        for model, route in self.routes.items():
            if model in before.routes:
                route.go_on_from(before.routes[model])

    def tripped(self) -> dict[str, str]:
        """Unit → the kind of its latest failure, of those whose circuit is open. What foreign code said beyond that may quote a row."""
        units = [unit for route in self.routes.values() for unit in route.units]
        return {unit.id: unit.breaker.words.partition(":")[0] for unit in units if unit.breaker.open}


class Tables:
    """Holds the live table. All loading and giving back happens in one thread, one at a time; the swap on the event loop; closing of models that nobody uses
    any more in a thread of its own, since it waits for the call that is running, and the next table must not."""

    def __init__(
        self,
        path: Path,
        shelf: Shelf,
        max_rows: int,
        on_swap: Callable[[LiveTable], None],
        keepers: Keepers,
        models: frozenset[str] = frozenset(),
    ) -> None:
        """Of the table's models only `models` are loaded and served; empty: all."""
        self._path = path
        self._keepers = keepers
        self._models = models
        self._shelf = shelf
        self._max_rows = max_rows
        self._on_swap = on_swap
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="table-loader")
        self._closing = ThreadPoolExecutor(1, thread_name_prefix="model-closing")
        self._busy = asyncio.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._counted: tuple[int, int, int] | None = None
        self.live: LiveTable | None = None
        self.error = NO_TABLE
        self.loading: int | None = None
        """The revision that is being taken; None: nothing is."""
        self.refused = 0
        """Tables that were not taken as they are: each once, however often it is tried."""

    @property
    def refusing(self) -> bool:
        """Whether what the file says is not served as it is. That there is none yet is no refusal."""
        return bool(self.error) and not self._none_yet

    @property
    def _none_yet(self) -> bool:
        return self.error.startswith(NO_TABLE)  # what to do about it follows

    def refusal(self) -> HttpRefused:
        """What is said while none is live."""
        return no_table(self.error)

    def changed(self) -> bool:
        """Whether the file is another one than at the last reload."""
        return self._stamp() != self._seen

    async def reload(self) -> None:
        """Serve what the file says. When it raises, the table before goes on serving; where there was none, as much of this one as loads: a
        challenger that cannot be loaded must not keep a restarted worker from serving its champion. Raises ArtifactDamaged, Conflict,
        StoreUnavailable."""
        async with self._busy:
            self._seen = self._stamp()
            try:
                await self._reload()
            except FlyballError as failed:
                self.error = failed.message
                if self.refusing and self._seen != self._counted:
                    self._counted = self._seen
                    self.refused += 1
                raise
            self.error = ""

    def hold(self, table: LiveTable) -> None:
        table.users += 1

    def release(self, table: LiveTable) -> None:
        table.users -= 1
        if table.retired and table.users == 0 and not table.given_back:
            table.given_back = True
            self._loader.submit(self._give_back, table.taken).add_done_callback(_tell)

    def close(self) -> None:
        """Give everything back; nothing is answered afterwards."""
        if self.live is not None:
            self._loader.submit(self._give_back, self.live.taken).add_done_callback(_tell)
            self.live = None
        self._loader.shutdown(wait=True)
        self._closing.shutdown(wait=True)

    async def _reload(self) -> None:
        old, passed_over = self.live, list[ServedUnit]()
        try:
            while (live := await self._loaded()) is not None and self.changed():
                # Somebody took it back while it was being loaded: its challenger must not answer even for a moment. What it shares with the next is kept.
                passed_over += live.taken
                self._seen = self._stamp()
        finally:
            if passed_over:
                self._loader.submit(self._give_back, passed_over).add_done_callback(_tell)
        if live is None:
            return
        if old is not None:
            live.go_on_from(old)
        self.live = live
        self._on_swap(live)
        if old is not None:
            old.retired = True
            self.hold(old)
            self.release(old)
        if live.without:
            raise ArtifactDamaged(
                f"revision {live.revision} is served without {', '.join(live.without)}: {next(iter(live.without.values()))}"
            )

    async def _loaded(self) -> LiveTable | None:
        """What the file says, with its models; None: it is live."""
        loop = asyncio.get_running_loop()
        table = await loop.run_in_executor(self._loader, self._read)
        old = self.live
        if old is not None and table.revision < old.revision:
            raise Conflict(f"routing table of revision {table.revision}", expected=f"at least {old.revision}, which is live")
        if old is not None and table.revision == old.revision:
            if table.digest != old.digest:
                raise Conflict(
                    f"another routing table with revision {table.revision}", expected="a larger revision for other routes"
                )
            if not old.without:
                return None
        self.loading = table.revision
        if self._none_yet:
            self.error = ""  # that there was none is no refusal of this one
        try:
            return await loop.run_in_executor(self._loader, self._build, table, old is None)
        finally:
            self.loading = None

    def _read(self) -> RoutingTable:
        try:
            return codec.decode(self._path.read_bytes(), RoutingTable)
        except FileNotFoundError as absent:
            raise StoreUnavailable(NO_TABLE, next_step=f"Publish one at {self._path}") from absent
        except OSError as unreadable:
            raise StoreUnavailable(f"{self._path} cannot be read: {unreadable.strerror}") from unreadable
        except msgspec.DecodeError as wrong:
            raise ArtifactDamaged(f"{self._path.name} is not a routing table: {wrong}") from wrong

    def _build(self, table: RoutingTable, starting: bool) -> LiveTable:  # noqa: FBT001 - an executor passes by position
        """`starting`: there is nothing else to serve, so what does not load is left out where another unit can stand in for it."""
        live = LiveTable(table, {}, [], {})
        try:
            for route in table.routes:
                if not self._models or route.model in self._models:
                    self._add(live, route, starting=starting)
            if not live.routes and live.without:
                raise ArtifactDamaged(next(iter(live.without.values())))
        except FlyballError:
            self._give_back(live.taken)
            raise
        except Exception as unforeseen:
            # A library that is not installed, a value that nobody thought of: it must not end what is served now.
            log.exception("the routing table of revision %d cannot be built", table.revision)
            self._give_back(live.taken)
            raise ArtifactDamaged(
                f"the routing table of revision {table.revision} cannot be built: {type(unforeseen).__name__}: {unforeseen}"
            ) from unforeseen
        return live

    def _add(self, live: LiveTable, route: Route, *, starting: bool) -> None:
        accepted(route)  # refused before anything is loaded
        units: dict[str, LiveUnit] = {}
        for served in route.units:
            try:
                model = self._shelf.take(served)
            except FlyballError as failed:
                if not starting:
                    raise
                live.without[served.unit.id] = failed.message
                continue
            live.taken.append(served)
            live.fingerprints[served.unit.id] = model.fingerprint
            units[served.unit.id] = LiveUnit(served, model)
        left = remaining(route, units.keys())
        if left is None:
            live.absent.add(route.model)
        else:
            live.routes[route.model] = LiveRoute(left, units, self._keepers.of(route.keeping), route, self._max_rows)

    def _give_back(self, taken: list[ServedUnit]) -> None:
        for served in taken:
            close = self._shelf.give_back(served)
            if close is not None:
                self._closing.submit(close).add_done_callback(_tell)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _tell(done: Future[None]) -> None:
    failed = done.exception()
    if failed is not None:
        log.error("a model could not be freed", exc_info=failed)
