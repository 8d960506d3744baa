"""The supervisor: binds the sockets of both doors, runs gateway workers and the control process, starts the dead again."""

import importlib.util
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from flyball.adapters.known_process import known
from flyball.adapters.saying import unfailing
from flyball.adapters.signal_names import name_of
from flyball.adapters.supervisor import run_file
from flyball.adapters.supervisor.child import Child, Recipe, gateway_command
from flyball.adapters.supervisor.listening import listen, reserve, target_of, url_of
from flyball.adapters.supervisor.rolling import Successor
from flyball.errors import OperatorError, StoreUnavailable, UserError

if TYPE_CHECKING:
    from flyball.control.ports import Say

LOOK_SECONDS = 0.1
CONTROL = "control"
DRAIN_SECONDS = 30.0
"""A gateway that is asked to end answers what it has accepted; longer requests are beyond every deadline."""


class Doors(NamedTuple):
    """Bound before anything starts."""

    gateway: socket.socket
    grpc: socket.socket | None
    """Reserved: the workers listen on its port themselves. None: no gRPC."""
    control: socket.socket | None
    """None: no control process."""


class Holding(NamedTuple):
    lock: int
    """Descriptor of the lock that only one supervisor has."""
    doors: Doors


class Layout(NamedTuple):
    """What is to run."""

    state_dir: Path
    project_dir: Path
    host: str = "127.0.0.1"
    port: int = 8400
    """0: any free one."""
    workers: int = 1
    control_command: tuple[str, ...] | None = None
    """None: no control process. Otherwise `python -m flyball.web DIR`; `--fd N`, its bound socket, is put behind."""
    control_port: int = 0
    """Of the loopback; 0: any free one."""
    grpc_port: int | None = None
    """0: any free one; None: no gRPC."""
    gateway_arguments: tuple[str, ...] = ()


def supervise(layout: Layout, say: "Say", end: threading.Event | None = None) -> None:
    """Run until SIGTERM, SIGINT or `end`; SIGHUP replaces the gateway workers one after the other. Raises as `held` does."""
    with held(layout, say) as holding:
        run(layout, holding.doors, say, end)


def run(layout: Layout, doors: Doors, say: "Say", end: threading.Event | None = None) -> None:
    """`supervise`, of what is held already."""
    _Supervisor(layout, doors, say, end or threading.Event()).run()


@contextmanager
def held(layout: Layout, say: "Say") -> Iterator[Holding]:
    """What is to be had before anything starts; leftovers of a supervisor that was killed are ended.

    Raises Conflict when the project is up already, OperatorError when a port is taken.
    """
    lock = run_file.hold(layout.state_dir)
    try:
        previous = run_file.read(layout.state_dir)
        patience = 0.0
        if previous is None:
            run_file.forget(layout.state_dir)  # nobody's, or those of the project that this one is a copy of
        elif run_file.end_leftovers(previous):
            unfailing(say)("bad", "An earlier supervisor was killed; what it had left running was ended.")
            patience = run_file.LEFTOVER_SECONDS
        with (
            _patiently(partial(listen, layout.host, layout.port), patience) as gateway,
            _grpc_socket(layout, patience) as grpc,
            _control_socket(layout, patience) as control,
        ):
            yield Holding(lock, Doors(gateway, grpc, control))
    finally:
        os.close(lock)


def _patiently(bind: Callable[[], socket.socket], seconds: float) -> socket.socket:
    """A killed process is told dead while its last threads still hold its sockets: a port that it held is asked for until it is free."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return bind()
        except OperatorError:
            if time.monotonic() >= deadline:
                raise
            threading.Event().wait(0.05)


class _Supervisor:
    def __init__(self, layout: Layout, doors: Doors, say: "Say", end: threading.Event) -> None:
        self._layout = layout
        self._say = unfailing(say)
        self._end = end
        self._url = url_of(doors.gateway)
        self._grpc_target = target_of(doors.grpc) if doors.grpc is not None else None
        self._control_url = url_of(doors.control) if doors.control is not None else None
        self._children = [Child(recipe) for recipe in _recipes(layout, doors)]
        self._coming: Child | None = None
        """A worker that is to succeed another one and is not ready yet."""
        self._leaving: Child | None = None
        """A worker that has been succeeded and still answers what it had accepted."""
        self._roll = threading.Event()
        """Set by SIGHUP."""

    def run(self) -> None:
        restore = self._hear_signals()
        try:
            self._write()  # who could not be found again, to be asked or ended, does not start
            for child in self._children:
                child.start(time.monotonic())
            self._tell()
            while not self._end.wait(LOOK_SECONDS):
                self._look(time.monotonic())
                if self._roll.is_set():
                    self._roll.clear()
                    self._replace_gateways()
        finally:
            self._drain()
            run_file.forget(self._layout.state_dir)
            restore()

    def _look(self, now: float) -> None:
        changed = False
        for child in self._children:
            code = child.process.poll() if child.process is not None else None
            if child.died(now):
                changed = True
                self._say(
                    "bad", f"{child.recipe.name} ended with {_exit_words(code)}; it is started again in {child.due - now:.1f} s."
                )
            if child.process is None and now >= child.due:
                self._start_again(child, now)
                changed = True
        if changed:
            self._tell()

    def _start_again(self, child: Child, now: float) -> None:
        """One that cannot be started (no memory, no room for its log) is one more death: it must not end the others."""
        try:
            child.start(now)
        except OperatorError as error:
            self._say("bad", f"{error.message} It is tried again in {child.due - now:.1f} s.")

    def _replace_gateways(self) -> None:
        """One after the other; the first that cannot be replaced ends it: what serves is worth more than what is new."""
        gateways = [child for child in self._children if child.recipe.name != CONTROL]
        for old in gateways:
            successor = Successor(old, self._layout.state_dir)
            try:
                successor.begin()
                self._coming = successor.new
                self._tell()  # if this process is killed now, whoever comes next must know both
                successor.take_over(self._meanwhile)
            except OperatorError as error:
                self._say("bad", f"The rolling restart ends here; {old.recipe.name} serves as before. {error.message}")
                return
            finally:
                self._coming = None
            self._children[self._children.index(old)] = successor.new
            self._leaving = old
            self._tell()
            if not successor.left(self._meanwhile):
                return  # the end of all is the end of the old one, too: it is asked, not killed
            self._leaving = None
            self._tell()
        self._say("good", f"Every gateway worker was replaced ({len(gateways)}).")

    def _meanwhile(self) -> bool:
        """While a worker is replaced the others are looked after as ever. True: this supervisor is to end."""
        self._look(time.monotonic())
        return self._end.is_set()

    def _tell(self) -> None:
        try:
            self._write()
        except StoreUnavailable as error:  # a full disk must not end what still serves from memory
            self._say("bad", error.message)

    def _write(self) -> None:
        """Raises StoreUnavailable."""
        me = known(os.getpid())
        members = {child.recipe.name: known(child.pid) for child in self._children if child.pid is not None}
        for child, what in ((self._coming, "coming"), (self._leaving, "leaving")):
            if child is not None and child.pid is not None:
                members[f"{child.recipe.name}-{what}"] = known(child.pid)
        run = run_file.RunFile(
            pid=os.getpid(),
            started=me.started if me else 0.0,
            ticks=me.ticks if me else None,
            boot=me.boot if me else "",
            gateway_url=self._url,
            control_url=self._control_url,
            grpc_target=self._grpc_target,
            children={name: found for name, found in members.items() if found is not None},
            failing=tuple(child.recipe.name for child in self._children if child.burning),
            workers=self._layout.workers,
        )
        run_file.write(self._layout.state_dir, run)

    def _drain(self) -> None:
        deadline, pause = time.monotonic() + DRAIN_SECONDS, threading.Event()
        children = [*self._children, *([self._leaving] if self._leaving else [])]
        for child in children:
            child.ask_to_end()
        while any(child.pid is not None for child in children) and time.monotonic() < deadline:
            pause.wait(0.02)
        for child in children:
            child.kill()

    def _hear_signals(self) -> Callable[[], None]:
        """Only the main thread hears signals; elsewhere (a test) `end` does it."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None

        terminal = os.isatty(sys.stderr.fileno())

        def heard(number: int, _frame: FrameType | None) -> None:
            # A terminal that was closed sends SIGHUP, too; who was started in it ends with it.
            closed = terminal and not os.isatty(sys.stderr.fileno())
            (self._roll if number == signal.SIGHUP and not closed else self._end).set()

        earlier = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

        def restore() -> None:
            for number, handler in earlier.items():
                signal.signal(number, handler)

        return restore


def _grpc_socket(layout: Layout, patience: float) -> AbstractContextManager[socket.socket | None]:
    """Raises UserError when gRPC is wanted and cannot be had: a worker that finds out by itself would be started again for ever."""
    if layout.grpc_port is None:
        return nullcontext()
    if importlib.util.find_spec("grpc") is None:
        raise UserError("gRPC needs grpcio, which is not installed", next_step="pip install 'flyball[grpc]'")
    return _patiently(partial(reserve, layout.host, layout.grpc_port), patience)


def _control_socket(layout: Layout, patience: float) -> AbstractContextManager[socket.socket | None]:
    """Bound here like the gateways': who is started again finds its port its own, and a taken one is told before anything starts."""
    if layout.control_command is None:
        return nullcontext()
    return _patiently(partial(listen, "127.0.0.1", layout.control_port), patience)


def _recipes(layout: Layout, doors: Doors) -> Sequence[Recipe]:
    logs, descriptor = layout.state_dir / "logs", doors.gateway.fileno()
    more = layout.gateway_arguments
    if doors.grpc is not None:
        more = ("--grpc-port", str(doors.grpc.getsockname()[1]), *more)
    recipes = [
        Recipe(
            name=f"gateway-{worker}",
            command=gateway_command(sys.executable, layout.state_dir, str(worker), descriptor, more),
            log=logs / f"gateway-{worker}.log",
            descriptors=(descriptor,),
            directory=layout.project_dir,
        )
        for worker in range(layout.workers)
    ]
    if layout.control_command is not None and doors.control is not None:
        own = doors.control.fileno()
        command = (*layout.control_command, "--fd", str(own))
        recipes.append(Recipe(CONTROL, command, logs / "control.log", (own,), layout.project_dir))
    return recipes


def _exit_words(code: int | None) -> str:
    if code is not None and code < 0:
        return name_of(-code)
    return f"exit code {code}"
