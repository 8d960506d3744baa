"""Where a request's time goes: the very functions that answer it, timed one by one on the same bodies, without a server around them."""

import asyncio
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

import msgspec

from flyball.errors import FlyballError, NotFound
from flyball.gateway import plain
from flyball.gateway.answering import Answering
from flyball.gateway.batches import Answer, Batch, Job
from flyball.gateway.capture_writer import CaptureWriter
from flyball.gateway.handlers import MAX_ROWS
from flyball.gateway.ids import FreshIds
from flyball.gateway.keepers import Keepers
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import json_response
from flyball.gateway.tables import LiveRoute, Tables
from flyball.gateway.units import Shelf
from flyball.gateway.worker import Options, World

WARM_UP, CALLS = 50, 400
"""A median of 400 moves by about 1 % between runs of an idle machine."""


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of one request, in microseconds."""

    rows: int
    parse_us: float
    """JSON → columns, held against the signature."""
    model_us: float
    route_us: float
    """Who answers, ids, metrics: all that answers but the model."""
    capture_us: float
    """The record made and handed to the kernel."""
    encode_us: float


async def time_stages(options: Options, world: World, model: str, bodies: Sequence[bytes]) -> Stages:
    """Raises NotFound when the table has no such model, ArtifactDamaged, RequestError."""
    capture = CaptureWriter(options.state_dir / "capture", options.worker, world.now_us)
    answering = Answering(Metrics(capture), lambda: False, asyncio.get_running_loop().time)
    ids = FreshIds(world.random_bytes)
    keepers = Keepers(options.state_dir / "capture.key", world.random_bytes)
    tables = Tables(options.state_dir / "routing.json", Shelf(options.limits), MAX_ROWS, lambda _: None, keepers)
    try:
        await tables.reload()
        live = tables.live.routes.get(model) if tables.live else None
        if live is None:
            raise NotFound(f"there is no model {model!r} in the routing table")
        return _timed(_Bench(live, answering, capture, ids), bodies, world.now_us)
    finally:
        capture.close()
        tables.close()


class _Bench:
    def __init__(self, live: LiveRoute, answering: Answering, capture: CaptureWriter, ids: FreshIds) -> None:
        self._live = live
        self._answering = answering
        self._capture = capture
        self._ids = ids
        self._nobody: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def once(self, body: bytes, at_us: int) -> tuple[int, tuple[float, ...]]:
        """(rows, seconds of each stage)"""
        live, began = self._live, perf_counter()
        rows = live.reader.read(body)
        read = perf_counter()
        batch = Batch([Job(rows, at_us, None, self._nobody)], at_us, self._ids.take(rows.n), live.builder)
        joined = perf_counter()
        batch.taken(None)  # kept by the batch: who answers finds it made
        taken = perf_counter()
        answered = self._answering.at_once(live, batch)
        told = perf_counter()
        self._capture.hand_over(answered.records(live, batch, 1))
        kept = perf_counter()
        answer = answered.of(batch, 0)
        if isinstance(answer, FlyballError):
            raise answer
        json_response(plain.predictions(live, rows, answer))
        ended = perf_counter()
        # The model's own time within this very call: one that is timed apart from it finds other caches, and may take longer than the whole.
        model = sum(scored.seconds for _, scored in answered.parts)
        parse, route = (read - began) + (taken - joined), (joined - read) + (told - taken) - model
        return rows.n, (parse, model, route, kept - told, ended - kept)


def _timed(bench: _Bench, bodies: Sequence[bytes], now_us: Callable[[], int]) -> Stages:
    taken = []
    rows = 0
    for at in range(WARM_UP + CALLS):
        rows, seconds = bench.once(bodies[at % len(bodies)], now_us())
        taken.append(seconds)
    parse, model, route, capture, encode = (median(each) * 1e6 for each in zip(*taken[WARM_UP:], strict=True))
    return Stages(rows=rows, parse_us=parse, model_us=model, route_us=route, capture_us=capture, encode_us=encode)
