"""A project as every door sees it: one use case a method."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flyball.adapters import doctor, supervisor
from flyball.adapters.clock import SystemClock
from flyball.adapters.ended_sessions import EndedSessions
from flyball.adapters.engine_lock import EngineLock, engine_is_held, engine_owner
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.gateway_limits import limit_arguments
from flyball.adapters.heartbeat import Heartbeat, LeaseFile, lease_age_seconds
from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.saying import UNSAID
from flyball.adapters.token import other_tokens
from flyball.adapters.untold import UntoldFile
from flyball.control import queries, verification
from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.ports import Say
from flyball.control.reports import (
    Check,
    CommandReport,
    RunReport,
    StatusReport,
    UpReport,
    VerifyReport,
    VersionRow,
)
from flyball.control.world import World
from flyball.errors import EngineBusy, FlyballError, LedgerDamaged, StoreUnavailable
from flyball.records.permissions import Holder, Role
from flyball.records.routing import LEASE_SECONDS
from flyball.spec.load import load_project
from flyball.wiring import detached_supervisor, health
from flyball.wiring.autopilot import Autopilot
from flyball.wiring.captured import Captured
from flyball.wiring.environment import quiet_libraries
from flyball.wiring.findings import Findings
from flyball.wiring.people import People
from flyball.wiring.place import place_of
from flyball.wiring.releases import Releases, ordering_world
from flyball.wiring.replays import Replays
from flyball.wiring.worlds import Home, remove_left_rows, say_nothing, world_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from flyball.control.engine import Engine
    from flyball.control.running import Elsewhere

STATE = ".flyball"
CONTROL = "flyball control"
"""Whom the supervisor starts: the one that takes over whatever else goes on."""
BUSY_SECONDS = 0.3
"""Between two looks whether another command has ended."""
READY_SECONDS = 20.0
"""Until a gateway lives: who waits longer is told by `flyball status`."""


def open_workspace(project_dir: Path, *, state_dir: Path | None = None) -> "Workspace":
    """The project in `project_dir`. Raises SpecError with every fault of its flyball.yaml, OperatorError where it cannot lie."""
    quiet_libraries()
    directory = place_of(project_dir)
    return Workspace(Home(load_project(directory), directory, state_dir or directory / STATE, SystemClock()))


def stop_all(state_dir: Path) -> bool:
    """End what `flyball up` started there; whether something was running. Asks no flyball.yaml: what runs can be ended whatever stands in it."""
    stopped = supervisor.stop(state_dir)
    if stopped or not engine_is_held(state_dir):
        # A step child outlives a killed controller and an interrupted `flyball run`, not the word of a person: its job goes on from its last
        # whole step at the next start. What a `flyball run` elsewhere is working on is left to it.
        stopped = ProcessExecutor(state_dir, SystemClock().now).cancel_all() or stopped
    return stopped


ASKED_LATER = tuple(f"flyball.control.{name}" for name in ("engine", "explaining", "findings", "loop", "ordering"))
"""What doors import where they use it. A control process has it before it listens, so that a Flyball which is replaced under it is not mixed with it."""


class Workspace:
    """A project with its state."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.clock = home.clock
        self.sessions = EndedSessions(home.state_dir / "sessions.ended")
        self.captured = Captured(home)
        self.findings = Findings(home)
        self.releases = Releases(home, lambda owner: self._engine(owner, say_nothing))
        self.replays = Replays(home)
        self.people = People(home)
        self.autopilot = Autopilot(home, lambda owner: self._engine(owner, say_nothing))

    # -- what starts or ends the loop

    def run(self, say: Say, actor: str) -> RunReport:
        """The pipeline; where a controller is up it does the work, and this only watches."""
        from flyball.control import running

        told = False
        elsewhere: Elsewhere | None = None
        while True:
            with self._engine("flyball run", say) as engine:
                if engine is not None:
                    done = running.run_here(engine, actor, time.sleep, self._is_supervised)
                    if isinstance(done, RunReport):
                        return done
                    elsewhere = done
            if (
                elsewhere is not None
            ):  # `flyball up` came meanwhile: its control process looks after traffic, and goes on with the job
                watched = running.watch(elsewhere, time.sleep, self._is_attended)
                return msgspec.structs.replace(watched, up=self._is_supervised())
            if self._has_control():
                break
            if not told:
                say("plain", "Another command works on this project: this run begins when it has ended.")
                told = True
            time.sleep(BUSY_SECONDS)
        watched = running.run_there(self._world(say), actor, time.sleep, self._is_attended)
        return msgspec.structs.replace(watched, up=self._is_supervised())

    def up(self, detach: bool, say: Say, ready: Callable[[UpReport], None]) -> None:  # noqa: FBT001 - a command's own flag
        """Start the supervisor; `ready` is told when it serves. Not detached: goes on until it is told to end."""
        home = self._home
        found = supervisor.running(home.state_dir)
        if found is not None:
            ready(self._up_report(found, already=True))
            return
        home.token()
        self._refuse_another_model()
        if detach:
            command = detached_supervisor.command_of(self._layout())
            ready(self._up_report(supervisor.start_detached(command, home.state_dir, home.project_dir), already=False))
            return
        threading.Thread(target=self._tell_when_live, args=(ready,), daemon=True).start()
        supervisor.supervise(self._layout(), say)

    def down(self) -> bool:
        """Whether something was running."""
        return stop_all(self._home.state_dir)

    def control(self, app: "ASGIApp", descriptor: int | None) -> None:
        """The control process: ticks in a thread, the API in this one, until SIGTERM. `descriptor`: the supervisor's bound socket."""
        from flyball.adapters.http_server import serve

        for name in ASKED_LATER:
            import_module(name)
        end = threading.Event()
        with (
            self._control_socket(descriptor) as bound,
            self._engine_in_turn() as engine,
            Heartbeat(
                LeaseFile(self._home.state_dir, self.clock.now),
                lambda: engine.supervises() and not end.is_set() and not health.disk_trouble(self._home.state_dir),
            ),
        ):
            ticks = threading.Thread(target=self._tick_until, args=(engine, end), name="ticks")
            ticks.start()
            try:
                serve(app, bound, end)
            finally:
                end.set()
                ticks.join()

    # -- what only looks

    def status(self) -> StatusReport:
        report = queries.status(self._world(say_nothing), controller_alive=self._is_controlled())
        state_dir, owner = self._home.state_dir, engine_owner(self._home.state_dir)
        untold = UntoldFile(state_dir).read() if owner == CONTROL else None
        return health.with_trouble(report, state_dir, untold, lives=owner is not None)

    def versions(self) -> tuple[VersionRow, ...]:
        return queries.versions(self._world(say_nothing))

    def decisions(self, open_only: bool, newest: int | None = None) -> tuple[DecisionRow, ...]:  # noqa: FBT001 - a command's own flag
        return queries.decision_rows(self._world(say_nothing), open_only=open_only, newest=newest)

    def explain(self, decision_id: str) -> Explanation:
        from flyball.control import explaining

        return explaining.explain(self._world(say_nothing), decision_id)

    def verify(self) -> VerifyReport:
        world = self._world(say_nothing)
        report = verification.verify(world, SqliteLedger(self._home.state_dir))
        strange = () if report.ledger_faults else health.strangers(self._home, world)
        faults = tuple(dict.fromkeys((*report.artifact_faults, *strange)))
        return msgspec.structs.replace(report, artifact_faults=faults, ok=report.ok and not strange)

    def doctor(self) -> tuple[Check, ...]:
        home = self._home
        up = supervisor.running(home.state_dir) is not None
        return (*doctor.machine(home.state_dir), *doctor.project(home.spec, home.state_dir, lambda: up), *health.checks(home))

    def tokens(self) -> Mapping[str, Holder]:
        """Token → whose it is, read anew each time."""
        return {**other_tokens(self._home.state_dir), self._home.token(): Holder(Role.OWNER)}

    # -- what a person orders

    def rollback(self, reason: str, actor: str) -> CommandReport:
        from flyball.control import ordering

        with self._engine("flyball rollback", say_nothing) as engine:
            return ordering.roll_back(ordering_world(self._home, engine), engine, actor, reason, time.sleep)

    def approve(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport:
        from flyball.control import ordering

        return ordering.answer(self._world(say_nothing), decision_id, yes=True, actor=actor, reason=reason, digest=digest)

    def refuse(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport:
        from flyball.control import ordering

        return ordering.answer(self._world(say_nothing), decision_id, yes=False, actor=actor, reason=reason, digest=digest)

    # -- inside

    def _refuse_another_model(self) -> None:
        """Raises SpecError: its control process could not start. A ledger that does not hold keeps nobody from answering."""
        with suppress(LedgerDamaged, StoreUnavailable):
            self._world(say_nothing)

    def _world(self, say: Say) -> World:
        return world_of(self._home, say)

    @contextmanager
    def _engine(self, owner: str, say: Say) -> "Iterator[Engine | None]":
        """The engine, when nobody else controls the project; else None."""
        from flyball.control.engine import Engine  # and with it what monitors need: who only looks starts without it

        if owner != CONTROL and self._is_supervised():
            yield None  # a control process that was killed is on its way: taking its place would keep it out, and the ticks with it
            return
        self._home.keep_private()
        lock = EngineLock(self._home.state_dir, owner)
        try:
            lock.acquire()
        except EngineBusy:
            yield None
            return
        try:
            if owner == CONTROL:  # at once: until then status tells the trouble of a process that is gone as this one's
                UntoldFile(self._home.state_dir).lay_down()
            remove_left_rows(self._home)
            engine = Engine(self._world(say))
            engine.start(owner)
            yield engine
        finally:
            lock.release()

    @contextmanager
    def _engine_in_turn(self) -> "Iterator[Engine]":
        """For the control process. A command that works on the project leaves it its place, or ends soon: to end instead would only be to start again."""
        told = False
        while True:
            with self._engine(CONTROL, say_to_log) as engine:
                if engine is not None:
                    yield engine
                    return
            if not told:
                say_to_log("plain", "Another command works on this project: this process takes over when it has ended.")
                told = True
            time.sleep(BUSY_SECONDS)

    def _control_socket(self, descriptor: int | None) -> socket.socket:
        if descriptor is not None:
            return socket.socket(fileno=descriptor)
        return supervisor.listen("127.0.0.1", self._home.spec.serve.control_port)

    def _is_controlled(self) -> bool:
        """Whether a process holds the engine; of the control process, also whether it still looks after traffic: one that hangs holds its lock."""
        if not engine_is_held(self._home.state_dir):
            return False
        age = lease_age_seconds(self._home.state_dir)
        return not self._is_supervised() or (age is not None and age < LEASE_SECONDS)

    def _has_control(self) -> bool:
        """Whether a control process takes orders, or is on its way. Other commands take none, though what they end with renews the lease, too."""
        age = lease_age_seconds(self._home.state_dir)
        return self._is_supervised() or (
            age is not None
            and age < LEASE_SECONDS
            and engine_owner(self._home.state_dir) in (CONTROL, "")  # of an earlier release, which did not say
        )

    def _is_attended(self) -> bool:
        """Whether a process controls the project, or a supervisor starts one again."""
        return engine_is_held(self._home.state_dir) or self._is_supervised()

    def _is_supervised(self) -> bool:
        found = supervisor.running(self._home.state_dir)
        return found is not None and found.control_url is not None

    def _tick_until(self, engine: "Engine", end: threading.Event) -> None:
        from flyball.control.loop import keep_ticking

        try:
            tell = UntoldFile(self._home.state_dir).tell
            keep_ticking(engine, self._home.spec.serve.tick.total_seconds(), end.wait, tell)
        finally:
            end.set()

    def _layout(self) -> supervisor.Layout:
        home = self._home
        return supervisor.Layout(
            state_dir=home.state_dir,
            project_dir=home.project_dir,
            host=home.spec.serve.host,
            port=home.spec.serve.port,
            workers=home.spec.serve.workers,
            control_command=(sys.executable, "-P", "-m", "flyball.web", str(home.project_dir)),
            control_port=home.spec.serve.control_port,
            grpc_port=home.spec.serve.grpc_port,
            gateway_arguments=limit_arguments(home.spec.serve),
        )

    def _tell_when_live(self, ready: Callable[[UpReport], None]) -> None:
        """What serves goes on, whether or not that can be told."""
        deadline = time.monotonic() + READY_SECONDS
        with suppress(*UNSAID, FlyballError):
            while time.monotonic() < deadline:
                found = supervisor.running(self._home.state_dir)
                if found is not None and supervisor.live(found.gateway_url):
                    ready(self._up_report(found, already=False))
                    return
                time.sleep(0.1)

    def _up_report(self, found: supervisor.RunFile, *, already: bool) -> UpReport:
        from flyball.control.example import example_label, example_row

        home = self._home
        shown = STATE if home.state_dir == home.project_dir / STATE else str(home.state_dir)
        report = UpReport(
            gateway_url=found.gateway_url,
            control_url=found.control_url or "",
            grpc_target=found.grpc_target or "",
            pid=found.pid,
            token_file=f"{shown}/token",
            model=home.spec.model,
            example_row={},
            already=already,
            trouble=health.ledger_trouble(home.state_dir),
        )
        try:
            world = self._world(say_nothing)
            trouble = report.trouble or health.await_serving(world)
            row, label = example_row(world), example_label(world)
        except FlyballError as error:  # what is up stays up: gateways serve the last table whatever has become of the ledger
            return msgspec.structs.replace(report, trouble=report.trouble or error.message)
        return msgspec.structs.replace(report, trouble=trouble, example_row=row, example_label=label)


def say_to_log(style: str, words: str) -> None:
    """The control process has no terminal: its supervisor keeps what it says in .flyball/logs/control.log."""
    with suppress(OSError, ValueError):  # a full disk takes words, and must not take the ticks
        sys.stdout.write(f"{style}: {words}\n")
        sys.stdout.flush()
