"""One request of a hundred thousand rows: the memory that it takes, and what the others notice."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.serving import gateway
from bench.serving.bars import Bar
from bench.serving.load import Cell, Load, warm
from bench.serving.load import measure as measured
from bench.serving.processes import Place, Running, running
from bench.serving.rounds import Plan, tell

ROWS = 100_000
PACED = Load("16×1 paced", 16, 1, pause_ms=20)


@dataclass
class Seen:
    payload_mb: float = 0.0
    growth_mb: list[float] = field(default_factory=list)
    """Highest resident size during a request above that before it."""
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    others: list[tuple[Cell, Cell]] = field(default_factory=list)
    """Single rows without and beside large requests, one after another."""

    def document(self) -> dict[str, Any]:
        return {**vars(self), "others": [[vars(cell) for cell in pair] for pair in self.others]}


def measure(place: Place, plan: Plan) -> Seen:
    seen, rows = Seen(), place.workspace.rows
    with running(gateway.flyball("flyball"), place) as started:
        body = started.body([rows[number % len(rows)] for number in range(ROWS)])
        seen.payload_mb = len(body) / 1024**2
        warm(started, PACED, rows)
        for _ in range(plan.rounds):
            before = _settled(started)
            _ask(started, body, seen)
            seen.growth_mb.append(_highest_mb(started) - before)
            calm = measured(started, PACED, rows, plan.seconds, plan.tries)
            with _large_ones(started, body, seen):
                busy = measured(started, PACED, rows, plan.seconds, plan.tries)
            seen.others.append((calm, busy))
            tell(
                f"{ROWS:,} rows: {seen.growth_mb[-1]:.0f} MB more, {seen.seconds[-1]:.2f} s; others' p99 {calm.p99_ms:.2f} → {busy.p99_ms:.2f} ms"
            )
    return seen


def bars(seen: Seen) -> list[Bar]:
    later = statistics.median(busy.p99_ms / calm.p99_ms - 1 for calm, busy in seen.others)
    words = f"{ROWS:,} rows ({seen.payload_mb:.1f} MB): memory over the payload's"
    return [
        Bar(words, max(seen.growth_mb) / seen.payload_mb, 3, least=False),
        Bar("single rows beside it: p99 above that without", later, 0.2, least=False),
        Bar("failed, of the large and the small", sum(status != 200 for status in seen.statuses) + _failed(seen), 0, least=False),
    ]


def _failed(seen: Seen) -> int:
    return sum(cell.failed for pair in seen.others for cell in pair)


def _ask(started: Running, body: bytes, seen: Seen) -> None:
    begun = time.perf_counter()
    seen.statuses.append(started.ask(body).status)
    seen.seconds.append(time.perf_counter() - begun)


@contextmanager
def _large_ones(started: Running, body: bytes, seen: Seen) -> Iterator[None]:
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            _ask(started, body, seen)
            ended.wait(0.5)

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _settled(started: Running) -> float:
    """MB resident now; from here the kernel notes the highest anew."""
    for process in started.tree():
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return sum(process.memory_info().rss for process in started.tree()) / 1024**2


def _highest_mb(started: Running) -> float:
    total = 0
    for process in started.tree():
        told = Path(f"/proc/{process.pid}/status").read_text()
        total += next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM"))
    return total / 1024
