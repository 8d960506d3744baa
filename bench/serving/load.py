"""wrk against one server, and who else used the machine meanwhile."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.serving.pipeline import Row
from bench.serving.processes import Running

SCRIPT = Path(__file__).with_name("load.lua")

NOISE_CORES = 0.15
"""More foreign work than this and a cell is measured again, then marked: on two cores the server or the client has waited for it."""


class Load(NamedTuple):
    """A closed loop: each connection asks again when it has its answer."""

    name: str
    connections: int
    rows: int = 1
    pause_ms: int = 0
    """Mean wait of a connection before it asks again; 0: none."""


ONE, SIXTEEN, MANY, BATCHES = Load("1×1", 1), Load("16×1", 16), Load("64×1", 64), Load("8×100", 8, 100)
LOADS = (ONE, SIXTEEN, MANY, BATCHES)


@dataclass(frozen=True)
class Cell:
    """One server under one load for some seconds."""

    rate: float
    """Answers a second, of status 200 only."""
    p50_ms: float
    p99_ms: float
    failed: int
    """Statuses of 400 and more, broken sockets, timeouts."""
    server_cores: float
    client_cores: float
    foreign_cores: float
    """Used by neither server, client nor this process, and what the hypervisor kept."""

    @property
    def per_core(self) -> float:
        """Answers for each second of a core that the server used: what is left of a rate where others took the core away."""
        return self.rate / self.server_cores if self.server_cores else float("nan")

    @property
    def noisy(self) -> bool:
        return self.foreign_cores > NOISE_CORES


def installed() -> str:
    """'' or what to do."""
    return "" if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def measure(running: Running, load: Load, rows: Sequence[Row], seconds: float, tries: int = 1) -> Cell:
    """The quietest of at most `tries`: measured again only while others use the machine."""
    best: Cell | None = None
    for _ in range(tries):
        cell = _measured(running, load, rows, seconds)
        if best is None or cell.foreign_cores < best.foreign_cores:
            best = cell
        if not best.noisy:
            break
    if best is None:
        raise ValueError(f"found {tries} tries, expected at least one")
    return best


def warm(running: Running, load: Load, rows: Sequence[Row], seconds: float = 1.0) -> None:
    _wrk(running, load, rows, seconds)


def _measured(running: Running, load: Load, rows: Sequence[Row], seconds: float) -> Cell:
    tree = running.tree()
    before, own, begun = _machine(), _own(running, tree), time.perf_counter()
    told = _wrk(running, load, rows, seconds)
    elapsed, after = time.perf_counter() - begun, _machine()
    server = running.cpu_seconds(tree) - own[0]
    client = sum(os.times()[:4]) - own[1]
    failed = told["sockets"] + told["statuses"] + told["timeouts"]
    return Cell(
        rate=(told["requests"] - told["statuses"]) / (told["us"] / 1e6),
        p50_ms=told["p50"] / 1e3,
        p99_ms=told["p99"] / 1e3,
        failed=failed,
        server_cores=server / elapsed,
        client_cores=client / elapsed,
        foreign_cores=max(0.0, (after - before - server - client) / elapsed),
    )


def _own(running: Running, tree: Sequence[psutil.Process]) -> tuple[float, float]:
    return running.cpu_seconds(tree), sum(os.times()[:4])


def _machine() -> float:
    """Seconds of all cores so far that somebody used; interrupts are left out: those of the loopback are nobody's."""
    times = psutil.cpu_times()
    # Niced work counts in full: where sessions are scheduled as groups, its niceness means nothing to us.
    return float(times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "steal", 0.0))


def _wrk(running: Running, load: Load, rows: Sequence[Row], seconds: float) -> dict[str, int]:
    bodies, headers = _written(running, load, rows)
    command = [
        "wrk", "--threads", "1", "--connections", str(load.connections), "--duration", f"{max(1, round(seconds))}s", "--timeout", "30s",
        "--script", str(SCRIPT), f"http://127.0.0.1:{running.port}", "--", str(bodies), str(headers), running.server.path,
        str(load.pause_ms),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90, check=False)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk said nothing of use: {done.stdout[-300:]} {done.stderr[-300:]}")
    told: dict[str, int] = json.loads(found[1])
    return told


def _written(running: Running, load: Load, rows: Sequence[Row]) -> tuple[Path, Path]:
    """A thousand different rows, or two hundred different hundreds of them."""
    bodies = running.stage.directory / f"bodies-{load.rows}"
    headers = running.stage.directory / "headers"
    if not bodies.exists():
        n = len(rows)
        starts = range(n) if load.rows == 1 else range(0, 37 * 200, 37)
        asked = [[rows[(at + more) % n] for more in range(load.rows)] for at in starts]
        bodies.write_bytes(b"".join(running.body(each) + b"\n" for each in asked))
        headers.write_text("".join(f"{name}: {value}\n" for name, value in running.headers.items()))
    return bodies, headers
