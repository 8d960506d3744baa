"""Five times as many requests as a worker can answer; and one model of twenty that is asked for more than it can do."""

import http.client
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle
import numpy as np

from bench.client import request_bytes
from bench.model import package
from bench.serving import gateway
from bench.serving.bars import Bar
from bench.serving.load import Cell, Load, warm
from bench.serving.load import measure as measured
from bench.serving.open_loop import Outcome, offer
from bench.serving.pipeline import SIGNATURE
from bench.serving.processes import Place, Running, running
from bench.serving.rounds import Plan, tell
from bench.serving.servers import Server, Stage
from flyball.records.routing import Route
from flyball.records.unit import Format

TIMES = 5
CAPACITY = Load("64×100", 64, 100)
"""A hundred rows a request: five times that rate is still within what a client in Python can send from the other core."""
PACED = Load("16×1 paced", 16, 1, pause_ms=20)
PATIENCE_SECONDS = 1.0
"""An answer after this is no good to anybody."""
CALM_MS, CALM_ANSWERS = 10.0, 50
"""Recovered: so many single rows in turn, each answered within that."""
SLOW_SECONDS = 0.005
"""Of a row of the saturated model: two hundred rows a second are all that it can do."""
MODELS = 20


@dataclass
class Seen:
    capacity: list[float] = field(default_factory=list)
    """Requests a second, at most."""
    goodput: list[float] = field(default_factory=list)
    refused_p99_ms: list[float] = field(default_factory=list)
    refused: int = 0
    broken: int = 0
    """Neither answered nor refused."""
    late_p99_ms: list[float] = field(default_factory=list)
    """Of the client: above a few milliseconds the figures are its own."""
    recovery_seconds: list[float] = field(default_factory=list)
    others: list[tuple[Cell, Cell]] = field(default_factory=list)
    """Another model's cell without and with one that is saturated."""
    saturated: dict[int, int] = field(default_factory=dict)
    """Statuses of the saturated model."""

    def document(self) -> dict[str, Any]:
        return {**vars(self), "others": [[vars(cell) for cell in pair] for pair in self.others]}


def measure(place: Place, plan: Plan) -> Seen:
    seen = Seen()
    with running(gateway.flyball("flyball"), place) as started:
        for _ in range(plan.rounds):
            _overload(started, place, plan, seen)
    with running(_twenty(), place) as started:
        for _ in range(plan.rounds):
            _saturate(started, place, plan, seen)
    return seen


def bars(seen: Seen) -> list[Bar]:
    share = statistics.median(good / most for good, most in zip(seen.goodput, seen.capacity, strict=True))
    later = statistics.median(busy.p99_ms / calm.p99_ms - 1 for calm, busy in seen.others)
    failed = sum(cell.failed for pair in seen.others for cell in pair)
    return [
        Bar(f"{TIMES} × overload: goodput over the most that it can", share, 0.8, least=True),
        Bar(f"refusals, p99 of {seen.refused:,}", statistics.median(seen.refused_p99_ms), 10, least=False, unit=" ms"),
        Bar("neither answered nor refused", seen.broken, 0, least=False),
        Bar("recovered after", max(seen.recovery_seconds), 5, least=False, unit=" s"),
        Bar(f"one model of {MODELS} saturated: p99 of another, above that without", later, 0.1, least=False),
        Bar("failed requests of the others", failed, 0, least=False),
    ]


def _overload(started: Running, place: Place, plan: Plan, seen: Seen) -> None:
    rows = place.workspace.rows
    warm(started, CAPACITY, rows)
    most = measured(started, CAPACITY, rows, plan.seconds, plan.tries).rate
    requests = [
        request_bytes(started.port, started.server.path, started.body(rows[at : at + CAPACITY.rows]), gateway.TOKEN)
        for at in range(0, 900, 17)
    ]
    outcomes = offer(started.port, requests, most * TIMES, plan.seconds)
    begun = time.perf_counter()
    _await_calm(started, place)
    seen.recovery_seconds.append(time.perf_counter() - begun)
    refused = [each.seconds * 1e3 for each in outcomes if each.status in (429, 503)]
    good = sum(each.status == 200 and each.seconds <= PATIENCE_SECONDS for each in outcomes)
    seen.capacity.append(most)
    seen.goodput.append(good / plan.seconds)
    seen.refused += len(refused)
    seen.refused_p99_ms.append(float(np.percentile(refused, 99)) if refused else 0.0)
    seen.broken += sum(each.status not in (200, 429, 503) for each in outcomes)
    seen.late_p99_ms.append(float(np.percentile([each.late_seconds * 1e3 for each in outcomes], 99)))
    tell(
        f"overload: {most:,.0f}/s at most, {seen.goodput[-1]:,.0f}/s good at {TIMES} times that, client late by {seen.late_p99_ms[-1]:.1f} ms"
    )


def _await_calm(started: Running, place: Place) -> None:
    body, calm, connection = started.body(place.workspace.rows[:1]), 0, started.connect()
    until = time.monotonic() + 60
    while calm < CALM_ANSWERS and time.monotonic() < until:
        begun = time.perf_counter()
        try:
            good = started.ask(body, connection).status == 200
        except (OSError, http.client.HTTPException):
            good, connection = False, started.connect()
        calm = calm + 1 if good and (time.perf_counter() - begun) * 1e3 < CALM_MS else 0
        time.sleep(0.002)
    connection.close()


def _saturate(started: Running, place: Place, plan: Plan, seen: Seen) -> None:
    rows, other = place.workspace.rows, started.at("/models/m07/predict")
    warm(other, PACED, rows)
    calm = measured(other, PACED, rows, plan.seconds, plan.tries)
    with _asked_too_much(started, place, plan.seconds * plan.tries + 2, seen):
        busy = measured(other, PACED, rows, plan.seconds, plan.tries)
    seen.others.append((calm, busy))
    tell(f"one of {MODELS} saturated: another's p99 {calm.p99_ms:.2f} → {busy.p99_ms:.2f} ms")


@contextmanager
def _asked_too_much(started: Running, place: Place, seconds: float, seen: Seen) -> Iterator[None]:
    body = started.body(place.workspace.rows[:1])
    request = request_bytes(started.port, started.server.path, body, gateway.TOKEN)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.extend(offer(started.port, [request], TIMES / SLOW_SECONDS, seconds, 256)))
    thread.start()
    time.sleep(1.0)  # until its queue is full
    try:
        yield
    finally:
        thread.join()
        for each in outcomes:
            seen.saturated[each.status] = seen.saturated.get(each.status, 0) + 1


def _twenty() -> Server:
    """The slow one is the first; the others are the champion's bytes."""

    def prepare(stage: Stage) -> None:
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        slow = package(stage.directory / "m00", cloudpickle.dumps(SlowModel()), SIGNATURE, "u000000000000", Format.CODE)
        content = (stage.workspace.directory / "champion.onnx").read_bytes()
        others = [
            package(stage.directory / f"m{number:02d}", content, SIGNATURE, f"u{number:012d}") for number in range(1, MODELS)
        ]
        gateway.publish(stage, [Route(model=f"m{number:02d}", champion=served) for number, served in enumerate([slow, *others])])

    return replace(gateway.flyball("flyball, 20 models"), prepare=prepare, path="/models/m00/predict", read=None)


class SlowModel:
    """A user's model that waits for something at each row."""

    def predict_proba(self, frame: Any) -> Any:
        time.sleep(SLOW_SECONDS * len(frame))
        return np.full((len(frame), 2), 0.5)
