"""`flyball gateway` is told to replace its workers, again and again under load: nobody fails."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd, Plan
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import ONE_ROW

WORKERS = 2
START_SECONDS = 90.0
DONE = f"Every gateway worker was replaced ({WORKERS})"


@dataclass(frozen=True)
class Scale:
    rounds: int
    requests: int
    connections: int = 64
    pause_seconds: float = 0.06
    """Mean silence of a connection between two requests: who is silent at the moment when it is closed is the hard case."""


FULL, SHORT = Scale(20, 50_000), Scale(3, 3_000)


@dataclass
class Seen:
    rounds: int
    requests: int
    failed: int
    statuses: dict[int, int]
    first_failure: str
    lost: int
    """Answered rows without a captured record."""
    longest_ms: float
    replaced: int
    """Processes that answered in the end and not in the beginning."""


class Standalone(NamedTuple):
    """A running `flyball gateway`."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    output: Path

    def wait_for(self, words: str, times: int = 1) -> None:
        until = time.monotonic() + START_SECONDS
        while self.output.read_text().count(words) < times:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"`flyball gateway` does not say {words!r}:\n{self.output.read_text()[-2000:]}")
            time.sleep(0.02)


def measure(scale: Scale) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-restarts-") as name, _standalone(Path(name)) as gateway:
        plan = Plan(
            port=gateway.port,
            token=gateway.token,
            rows=(ONE_ROW,),
            connections=scale.connections,
            pause_seconds=scale.pause_seconds,
        )
        rounds, begun, before = 0, time.monotonic(), _workers(gateway)
        with Crowd(plan) as crowd:
            # The clients keep their own count; by time it is known well enough when there were as many as wanted.
            while rounds < scale.rounds or time.monotonic() < begun + scale.requests / _least_rate(scale):
                os.kill(gateway.process.pid, signal.SIGHUP)
                rounds += 1
                gateway.wait_for(DONE, rounds)
            time.sleep(0.2)
        told = crowd.outcome
        kept = {each for record in segments.read(Path(name)).predictions() for each in record["ids"]}
        return Seen(
            rounds=rounds,
            requests=len(told.status),
            failed=told.failures,
            statuses=told.counts(),
            first_failure=told.first_failure,
            lost=len(set(told.answered_ids()) - kept),
            longest_ms=float(told.seconds.max()) * 1e3,
            replaced=len(_workers(gateway) - before),
        )


def bars(seen: Seen) -> list[Bar]:
    return [
        Bar(f"{seen.rounds} rolling restarts: failed of {seen.requests:,}", seen.failed, 0, least=False),
        Bar("answered and not captured", seen.lost, 0, least=False),
        Bar("workers that are new in the end", seen.replaced, WORKERS, least=True),
    ]


def _least_rate(scale: Scale) -> float:
    """Requests a second that these connections make when an answer takes a third of their pause."""
    return scale.connections / scale.pause_seconds / 1.3


@contextmanager
def _standalone(directory: Path) -> Iterator[Standalone]:
    served = linear_unit(directory, 0)
    routing, output, state = directory / "routing.yaml", directory / "output", directory / "state"
    routing.write_text(f"models: {{shop: {{champion: {served.package}}}}}")
    command = [sys.executable, "-m", "flyball", "gateway", "--routing", str(routing), "--port", "0"]
    with output.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--workers", str(WORKERS), "--state-dir", str(state)], stdout=said, stderr=subprocess.STDOUT
        )
    try:
        gateway = Standalone(process, 0, "", output)
        gateway.wait_for("Ask for a prediction")
        found = re.search(r"http://127\.0\.0\.1:(\d+)", output.read_text())
        assert found is not None
        yield gateway._replace(port=int(found[1]), token=(state / "token").read_text().strip())
    finally:
        process.terminate()
        process.wait(timeout=60)


def _workers(gateway: Standalone) -> set[int]:
    return {each.pid for each in psutil.Process(gateway.process.pid).children() if "flyball.gateway" in each.cmdline()}
