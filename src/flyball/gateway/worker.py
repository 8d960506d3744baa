"""One gateway worker: its parts, its two ports, its periodic looks, its end."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from flyball.errors import FlyballError, StoreUnavailable
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.answering import Answering
from flyball.gateway.app import Gateway
from flyball.gateway.capture_writer import CaptureWriter, NoCapture, Sink, TimelessWriter
from flyball.gateway.card import Card
from flyball.gateway.connections import Connections
from flyball.gateway.event_time import EventTime
from flyball.gateway.explaining import Explaining
from flyball.gateway.freed import give_back_freed
from flyball.gateway.handlers import MAX_ROWS, Handlers, Parts, Settings
from flyball.gateway.heads import BoundedHeads, Invalid
from flyball.gateway.ids import FreshIds
from flyball.gateway.inference import Clocks, Inference
from flyball.gateway.inference import Parts as InferenceParts
from flyball.gateway.keepers import Keepers
from flyball.gateway.lanes import Lanes
from flyball.gateway.lease import Lease
from flyball.gateway.metrics import Metrics
from flyball.gateway.refusals import Refusals
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.scraping import Scraping
from flyball.gateway.shadows import Shadows
from flyball.gateway.tables import LiveTable, Tables
from flyball.gateway.tracing import open_tracer
from flyball.gateway.units import Shelf
from flyball.gateway.unread import Unread
from flyball.machine.uptime import uptime_us

if TYPE_CHECKING:
    from flyball.gateway.grpc_doors import GrpcDoors

LOOK_SECONDS = 0.25
"""How often the table, the tokens and the lease are looked at: a lost reload call costs at most this."""
RETRY_LOOKS = 20
"""A table that did not load is tried again after so many looks (5 s): the reason may have been a full disk."""
SYNC_SECONDS = 1.0
"""Between two fsyncs of the capture: what a power cut may take."""
LEAVE_SECONDS = 5.0
"""For a worker with a successor: as long its clients may take to come back for the answer that tells them to go elsewhere."""
LEAVE_ALONE_SECONDS = 1.0
"""For one without: somebody may be waiting for its end."""
REFUSAL_LOOKS = 4
"""What was refused is handed over every second: refusals are many where they are any, and one record holds them."""
CONNECTION_LOOKS = 8
"""Half-open connections are looked for every two seconds: they are few, and some thousand cost a millisecond."""
GRACE_SECONDS = 20.0
"""For requests that are being answered at SIGTERM: longer than any deadline of a model."""

log = logging.getLogger("flyball.gateway")


class Options(NamedTuple):
    state_dir: Path
    worker: str
    host: str
    port: int
    descriptor: int | None
    """A bound socket from the supervisor: connections wait in it while a killed worker is replaced."""
    request_clock: bool
    capture: bool
    models: tuple[str, ...]
    lease_seconds: float
    drain_seconds: float
    max_body_bytes: int
    grpc_port: int | None
    """None: no gRPC. 0: any free one."""
    allowed_hosts: tuple[str, ...]
    limits: CodeLimits
    must_serve: bool = False
    """A successor: without a table it must not take a connection that the worker before it would answer."""
    tracing: str | None = None
    """The service's name in traces ('': as OTEL_RESOURCE_ATTRIBUTES says); None: no traces."""


class World(NamedTuple):
    """What comes from outside: the clock and the entropy of this process."""

    now_us: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    uptime_us: Callable[[], int] = uptime_us


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: this worker has two servers and its own order of ending."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Worker:
    def __init__(self, options: Options, world: World) -> None:
        self._options = options
        directory = options.state_dir
        self._public = _listen(options)
        bound = str(self._public.getsockname()[0])
        writer = TimelessWriter if options.request_clock else CaptureWriter
        self._capture: Sink = writer(directory / "capture", options.worker, world.now_us) if options.capture else NoCapture()
        self._lease = Lease(directory / "lease", options.lease_seconds, world.now_us)
        self._time = EventTime(world.now_us, world.uptime_us, self._lease)
        # A replay's controller has a simulated clock, and brings the moment with each request.
        now_us = world.now_us if options.request_clock else self._time.now_us
        self._tokens = Tokens(directory, tell_path=bound in ("127.0.0.1", "::1"))
        keepers = Keepers(directory / "capture.key", world.random_bytes)
        self._tables = Tables(
            directory / "routing.json", Shelf(options.limits), MAX_ROWS, self._swapped, keepers, frozenset(options.models)
        )
        self._metrics = Metrics(self._capture)
        # A replay sends what is refused again without the rows at fault, and tells itself how many they were.
        self._refusals = Refusals(NoCapture() if options.request_clock else self._capture, lambda: self._tables.live, now_us)
        self._invalid = Invalid(partial(self._metrics.requests.failed, "", "", "NotHttp"))
        loop_time = asyncio.get_running_loop().time
        self._answering = Answering(self._metrics, lambda: self._lease.held, loop_time)
        ids = FreshIds(world.random_bytes)
        lanes = Lanes(self._capture, ids, self._metrics, lambda: self._lease.held, now_us)
        self._shadows = Shadows(self._answering, self._capture, self._tables, self._metrics)
        inference_parts = InferenceParts(self._tables, self._answering, self._shadows, self._capture, ids, self._metrics, lanes)
        clocks, deadline = Clocks(now_us, loop_time), options.limits.deadline_seconds
        self._inference = Inference(inference_parts, clocks, simulated=options.request_clock, deadline_seconds=deadline)
        self._explaining = Explaining(options.limits, self._metrics)
        settings = Settings(options.worker, os.getpid(), options.request_clock)
        parts = Parts(self._tables, self._inference, self._capture, self._lease, self._metrics, self._explaining)
        self._handlers = Handlers(settings, parts, now_us)
        self._metrics.watch_shadows(lambda: self._shadows.waiting_rows)
        self._metrics.watch_suspension(self._handlers.suspended)
        self._metrics.watch_tables(self._tables)
        neighbours = Neighbours([bound, f"[{bound}]", options.host, *options.allowed_hosts])
        doors = self._handlers.doors() | Scraping(directory, options.worker, self._metrics).doors()
        access, counters = (neighbours, self._tokens), (self._metrics, self._refusals)
        self._gateway = Gateway(doors, access, counters, options.max_body_bytes)
        self._unread = Unread(access, counters, self._inference, options.max_body_bytes)
        self._tracer = open_tracer(options.tracing, options.worker, world.now_us)
        self._grpc = self._grpc_doors(bound)
        self._card = Card(directory, options.worker, world.now_us())
        self._parent = os.getppid()
        self._ending = asyncio.Event()
        self._succeeded = False

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then readiness fails first, answers close their connections, and the rest is finished.
        SIGUSR1 says that another worker has taken the place of this one: it takes no further connection from the common socket."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        loop.add_signal_handler(signal.SIGUSR1, self._succeed)
        self._look_at_lease()
        await self._try_table()
        if self._options.must_serve and self._tables.error:
            raise StoreUnavailable(f"there is nothing that this worker could serve: {self._tables.error}")
        # What was imported and loaded stays: a collector that looked through it all took 20 ms, in the middle of somebody's request.
        gc.collect()
        gc.freeze()
        give_back_freed()
        admin_socket = socket.create_server(("127.0.0.1", 0))
        public, admin = self._server(admin=False), self._server(admin=True)
        self._connections = Connections(public)
        self._tell_who_is_pending(public)
        serving = [asyncio.create_task(public.serve([self._public])), asyncio.create_task(admin.serve([admin_socket]))]
        chores = [asyncio.create_task(each) for each in (self._look(), self._sync(), self._follow_table(), self._shadows.run())]
        while not (public.started and admin.started):
            await asyncio.sleep(0.01)
        more = {"grpc_port": await self._grpc.start()} if self._grpc is not None else {}
        self._announce({"admin_port": admin_socket.getsockname()[1], **more})
        await asyncio.wait([asyncio.create_task(self._ending.wait()), *serving, *chores], return_when=asyncio.FIRST_COMPLETED)
        self._handlers.draining = self._gateway.draining = True
        self._unread.end()
        if self._grpc is not None:
            self._grpc.draining = True
        if not self._succeeded:
            await asyncio.sleep(self._options.drain_seconds)
        await self._connections.leave(LEAVE_SECONDS if self._succeeded else LEAVE_ALONE_SECONDS)
        public.should_exit = admin.should_exit = True
        await asyncio.gather(*serving, *([self._grpc.stop(GRACE_SECONDS)] if self._grpc is not None else []))
        await self._inference.drain()
        await self._shadows.drain(self._options.limits.deadline_seconds)
        for chore in chores:
            chore.cancel()
        failed = [each for each in await asyncio.gather(*chores, return_exceptions=True) if isinstance(each, Exception)]
        self._explaining.close()
        self._refusals.hand_over()
        self._capture.close()
        await asyncio.to_thread(self._tables.close)  # a model that still answers somebody is waited for, and answers by this loop
        if self._tracer is not None:
            self._tracer.close()
        self._card.withdraw()
        if failed:
            raise failed[0]

    def _succeed(self) -> None:
        self._succeeded = True
        self._ending.set()

    def _grpc_doors(self, host: str) -> "GrpcDoors | None":
        if self._options.grpc_port is None:
            return None
        from flyball.gateway import grpc_doors

        options = self._options
        settings = grpc_doors.Settings(host, self._options.grpc_port, options.max_body_bytes, options.request_clock)
        answers, counters = (self._inference, self._tables), (self._metrics, self._refusals)
        return grpc_doors.GrpcDoors(settings, answers, self._tokens, counters, self._tracer)

    def _server(self, *, admin: bool) -> uvicorn.Server:
        application = self._gateway.port(admin=admin)
        heads = BoundedHeads.counting(self._invalid)
        if self._tracer is None and not admin:  # where there are traces, refusals have theirs
            self._gateway.unread = self._unread
            heads = heads.refusing(self._unread)
        return QuietServer(
            uvicorn.Config(
                self._tracer.around(application) if self._tracer is not None and not admin else application,
                loop="none",
                http=heads,
                ws="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # nobody asks who the client says it is
                timeout_keep_alive=75,  # longer than the 60 s of common load balancers: they close first, so no request is lost
                timeout_graceful_shutdown=int(GRACE_SECONDS),
                backlog=2048,
            )
        )

    async def _look(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            count += 1
            self._tokens.look()
            self._look_at_lease()
            if self._options.request_clock and os.getppid() != self._parent:
                # A replay was killed: nobody else moves this clock, and nobody would ever end this worker. (Those of a supervisor outlive it.)
                self._ending.set()
            if count % REFUSAL_LOOKS == 0:
                self._refusals.hand_over()
            if count % CONNECTION_LOOKS == 0:
                self._connections.look(asyncio.get_running_loop().time())

    def _look_at_lease(self) -> None:
        self._lease.look()
        self._time.look()

    async def _sync(self) -> None:
        """Apart from the other looks: a disk that hangs must not keep a token that was withdrawn, or a connection that nobody reads."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            sync = self._capture.pending_sync()
            if sync is not None:
                await asyncio.to_thread(sync)
            if self._card.untold:
                await asyncio.to_thread(self._card.tell_again)

    def _tell_who_is_pending(self, public: uvicorn.Server) -> None:
        """Requests of both doors: what is large at one gives way to what is small at the other."""
        tasks, doors = public.server_state.tasks, self._grpc
        self._gateway.pending = tasks.__len__
        if doors is not None:
            self._gateway.pending = doors.pending = lambda: len(tasks) + doors.in_flight()

    async def _follow_table(self) -> None:
        """Apart from the other looks: loading a model may take long."""
        count = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            count += 1
            if self._tables.changed() or (self._tables.error and count % RETRY_LOOKS == 0):
                await self._try_table()

    async def _try_table(self) -> None:
        before = self._tables.error
        try:
            await self._tables.reload()
        except FlyballError as refused:
            if refused.message != before:
                log.warning("the routing table was not taken as it is: %s", refused.message)

    def _swapped(self, live: LiveTable) -> None:
        self._metrics.revision.set(live.revision)
        models: dict[str, set[str]] = {model: set() for model in live.absent}
        models |= {model: {column.name for column in route.route.tolerated} for model, route in live.routes.items()}
        self._metrics.forget_others(live.fingerprints, models)
        self._explaining.forget_others(live.fingerprints)

    def _announce(self, ports: dict[str, int]) -> None:
        """Tell the supervisor and control where this worker is. Raises StoreUnavailable where another one can go on in its place."""
        try:
            self._card.tell({"port": self._public.getsockname()[1], **ports})
        except OSError as failed:
            if self._options.must_serve:
                raise StoreUnavailable(f"nobody can be told where this worker is: {failed}") from failed
            self._card.tell_again()


def _listen(options: Options) -> socket.socket:
    if options.descriptor is not None:
        return socket.socket(fileno=options.descriptor)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    return socket.create_server((options.host, options.port), family=family, backlog=2048)
