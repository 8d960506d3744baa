"""The process that `flyball gateway` becomes when it has looked at everything.

It only waits, so it holds a fifth of what the looking took: same process number, same lock, same socket, another program.
"""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from flyball.adapters import supervisor
from flyball.adapters.heartbeat import Heartbeat, LeaseFile
from flyball.adapters.saying import UNSAID
from flyball.adapters.standalone.follow import Follower
from flyball.adapters.standalone.retention import Retention
from flyball.adapters.standalone.watched_file import Stamp, WatchedFile

if TYPE_CHECKING:
    from flyball.control.ports import Say

READY_SECONDS = 60.0


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How the command was told to speak."""

    as_json: bool
    debug: bool


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What it is handed over by the command that it was."""

    manner: Manner
    seen: Stamp | None
    """Stamp of the routing file when it was read."""
    state_dir: str
    project_dir: str
    workers: int
    gateway_arguments: tuple[str, ...]
    lock: int
    listening: int
    grpc: int | None
    """Descriptors that it inherits; no gRPC, none of it."""
    ready: str
    """To be written when a model answers."""


def become_supervisor(
    file: WatchedFile, layout: supervisor.Layout, holding: supervisor.Holding, ready: str, manner: Manner
) -> NoReturn:
    """Raises OSError when there is no room even for that."""
    doors = holding.doors
    listening, grpc = doors.gateway.fileno(), doors.grpc.fileno() if doors.grpc is not None else None
    order = Order(
        manner=manner,
        seen=file.seen,
        state_dir=str(layout.state_dir),
        project_dir=str(layout.project_dir),
        workers=layout.workers,
        gateway_arguments=layout.gateway_arguments,
        lock=holding.lock,
        listening=listening,
        grpc=grpc,
        ready=ready,
    )
    with tempfile.TemporaryFile() as handed:
        handed.write(msgspec.json.encode(order))
        handed.seek(0)
        for descriptor in (holding.lock, listening, grpc, handed.fileno()):
            if descriptor is not None:
                os.set_inheritable(descriptor, True)
        command = ["-P", "-m", "flyball.cli.gateway_supervisor", str(file.path), "--order", str(handed.fileno())]
        os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 - another program in this very process, no shell between


def ordered(descriptor: int) -> Order:
    with os.fdopen(descriptor, "rb") as handed:
        return msgspec.json.decode(handed.read(), type=Order)


def supervise_standalone(routing: Path, order: Order, say: "Say", write: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT; SIGHUP replaces the workers one after the other. Raises StoreUnavailable."""
    for own in (order.lock, order.grpc):
        if own is not None:
            os.set_inheritable(own, False)
    state_dir = Path(order.state_dir)
    layout = supervisor.Layout(
        state_dir=state_dir, project_dir=Path(order.project_dir), workers=order.workers, gateway_arguments=order.gateway_arguments
    )
    # Whoever wrote a canary's weight into the file is its controller: it lasts as long as this process, which would carry their next word out.
    lives = Heartbeat(LeaseFile(state_dir), lambda: True)
    with (
        socket.socket(fileno=order.listening) as listening,
        socket.socket(fileno=order.grpc) if order.grpc is not None else nullcontext() as grpc,
        lives,
        Retention(state_dir, say),
        Follower(WatchedFile(routing, order.seen), _taking(routing, order), say),
    ):
        threading.Thread(
            target=_tell_when_ready, args=(supervisor.url_of(listening), lambda: write(order.ready), say), daemon=True
        ).start()
        supervisor.run(layout, supervisor.Doors(listening, grpc, None), say)


def _taking(routing: Path, order: Order) -> list[str]:
    words = ["-P", "-m", "flyball", "routes-child", str(routing), "--state-dir", order.state_dir, "--workers", str(order.workers)]
    words += [
        "--arguments",
        " ".join(order.gateway_arguments),
    ]  # by which the child knows whether `serve:` is still what was asked for
    return [sys.executable, *words, *(["--json"] if order.manner.as_json else [])]


def _tell_when_ready(url: str, tell: Callable[[], None], say: "Say") -> None:
    deadline, told = time.monotonic() + READY_SECONDS, ""
    while time.monotonic() < deadline:
        if supervisor.model_ready(url):
            with suppress(*UNSAID):  # what serves goes on, whether or not that can be told
                tell()
            return
        if (why := supervisor.why_no_model(url)) and why != told:
            with suppress(*UNSAID):
                say("bad", why)
            told = why
        time.sleep(0.05)
