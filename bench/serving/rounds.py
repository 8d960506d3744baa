"""Every server in turn, round after round, and what their rounds say together."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from operator import truediv
from typing import Any, NamedTuple

from bench.serving import pipeline
from bench.serving.load import SIXTEEN, Cell, Load, measure, warm
from bench.serving.processes import Place, Running, running
from bench.serving.servers import Server

WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int
    seconds: float
    """Of each cell."""
    tries: int
    """At a cell while others use the machine."""


class InProcess(NamedTuple):
    """Rows a second of the model alone, a hundred at a call, in one thread of this process."""

    arrays: float
    """The arrays lie ready."""
    rows: float
    """They are made from rows each time, as every server must."""


@dataclass
class Told:
    """Everything that was measured, in the order of the rounds."""

    cells: dict[tuple[str, str], list[Cell | None]] = field(default_factory=dict)
    """(server, load) → one a round; None: it failed in that round."""
    first_answer_seconds: dict[str, list[float]] = field(default_factory=dict)
    memory_mb: dict[str, list[float]] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    in_process: list[InProcess] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Server → why."""

    def add(self, server: str, load: str, cell: Cell | None) -> None:
        self.cells.setdefault((server, load), []).append(cell)

    def of(self, server: str, load: str) -> list[Cell]:
        return [cell for cell in self.cells.get((server, load), []) if cell is not None]

    def median(self, server: str, load: str, value: Callable[[Cell], float]) -> float:
        cells = self.of(server, load)
        return statistics.median(map(value, cells)) if cells else float("nan")

    def paired(
        self,
        ours: str,
        theirs: str,
        load: str,
        value: Callable[[Cell], float],
        compare: Callable[[float, float], float] = truediv,
    ) -> float:
        """Median over rounds of what a round's two cells say together; NaN: no round has both."""
        pairs = zip(self.cells.get((ours, load), []), self.cells.get((theirs, load), []), strict=False)
        said = [compare(value(a), value(b)) for a, b in pairs if a is not None and b is not None]
        return statistics.median(said) if said else float("nan")

    def soonest(self, server: str) -> float:
        return min(self.first_answer_seconds.get(server, [float("nan")]))

    def memory(self, server: str) -> float:
        return statistics.median(self.memory_mb.get(server, [float("nan")]))

    def alone(self, of: str) -> float:
        """Median of the rounds' figures of the model without a server."""
        return statistics.median(getattr(each, of) for each in self.in_process)

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        cells = [
            {"server": server, "load": load, "round": number, **(asdict(cell) if cell else {"error": True})}
            for (server, load), told in self.cells.items()
            for number, cell in enumerate(told)
        ]
        return {
            "cells": cells,
            "first_answer_seconds": self.first_answer_seconds,
            "memory_mb": self.memory_mb,
            "processes": self.processes,
            "in_process_rows_a_second": [each._asdict() for each in self.in_process],
            "skipped": self.skipped,
        }

    def noisy(self, load: str, *servers: str) -> bool:
        """Whether others used the machine in at least half of these cells."""
        cells = [cell.noisy for server in servers for cell in self.of(server, load)]
        return sum(cells) * 2 >= len(cells) > 0


def tell(*words: object) -> None:
    """Progress, beside the table."""
    print(*words, file=sys.stderr, flush=True)


def alone(server: Server, place: Place, told: Told) -> bool:
    """Start it with nothing else running: how soon it answers, and what it weighs after some load. False: it cannot run here."""
    why = server.missing(place.root)
    if not why:
        try:
            with running(server, place) as started:
                weigh(started, place, told)
            return True
        except (RuntimeError, OSError) as failed:
            why = str(failed)
    told.skipped[server.name] = why
    tell(f"{server.name}: skipped, {why}")
    return False


def weigh(started: Running, place: Place, told: Told) -> None:
    warm(started, SIXTEEN, place.workspace.rows)
    told.first_answer_seconds.setdefault(started.server.name, []).append(started.first_answer_seconds)
    told.memory_mb.setdefault(started.server.name, []).append(started.memory_mb())
    told.processes[started.server.name] = len(started.tree())


def together(servers: Sequence[Server], loads: Sequence[Load], place: Place, plan: Plan, told: Told) -> None:
    """All of them wait while one is loaded: for servers that cost nothing while they wait. A round is a load for every server in turn."""
    with ExitStack() as stack:
        started = [stack.enter_context(running(server, place)) for server in servers]
        for number in range(plan.rounds):
            told.in_process.append(in_process(place))
            for load in loads:
                # There and back: what changes slowly on the machine falls on all alike.
                for each in started if number % 2 == 0 else started[::-1]:
                    _cell(each, load, place, plan, told)
        for each in started:
            each.server.prove(each.stage)


def in_process(place: Place, n: int = 100, slices: int = 5, seconds: float = 0.3) -> InProcess:
    """What onnxruntime can do here, now, without a server around it: the best of some slices, since others can only slow it."""
    session = pipeline.session((place.workspace.directory / "champion.onnx").read_bytes())
    outputs = [session.get_outputs()[-1].name]
    groups = [place.workspace.rows[at : at + n] for at in range(0, 1000, n)]
    feeds = [pipeline.feed(rows) for rows in groups]

    def rate(call: Callable[[int], object]) -> float:
        return max(_slice(call) for _ in range(slices))

    def _slice(call: Callable[[int], object]) -> float:
        call(0)
        begun, calls = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - begun) < seconds:
            call(calls % len(groups))
            calls += 1
        return calls * n / elapsed

    return InProcess(
        rate(lambda at: session.run(outputs, feeds[at])), rate(lambda at: session.run(outputs, pipeline.feed(groups[at])))
    )


def in_turn(servers: Sequence[Server], loads: Sequence[Load], place: Place, plan: Plan, told: Told) -> None:
    """One at a time, started anew for each round: for servers that work or hold much memory while they wait."""
    usable = [server for server in servers if not _skipped(server, place, told)]
    for _ in range(plan.rounds):
        for server in usable:
            try:
                with running(server, place) as started:
                    weigh(started, place, told)
                    for load in loads:
                        _cell(started, load, place, plan, told)
            except (RuntimeError, OSError) as failed:
                tell(f"{server.name}: failed, {failed}")
                told.skipped[server.name] = str(failed)


def _skipped(server: Server, place: Place, told: Told) -> bool:
    why = server.missing(place.root)
    if why:
        told.skipped[server.name] = why
    return bool(why)


def _cell(started: Running, load: Load, place: Place, plan: Plan, told: Told) -> None:
    name, rows = started.server.name, place.workspace.rows
    try:
        warm(started, load, rows, WARM_SECONDS)
        cell = measure(started, load, rows, plan.seconds, plan.tries)
    except (RuntimeError, OSError) as failed:
        tell(f"{name} {load.name}: failed, {failed}")
        told.add(name, load.name, None)
        return
    told.add(name, load.name, cell)
    noise = f"  (others used {cell.foreign_cores:.2f} cores)" if cell.noisy else ""
    tell(
        f"{name:20} {load.name:6} {cell.rate:9,.0f}/s  p50 {cell.p50_ms:7.2f}  p99 {cell.p99_ms:8.2f} ms  failed {cell.failed}{noise}"
    )
