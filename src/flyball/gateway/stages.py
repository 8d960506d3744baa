"""Where a request's time goes: the very functions that answer it, timed one by one on the same bodies, without a server around them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from time import perf_counter

import msgspec

from flyball.errors import NotFound
from flyball.gateway import plain
from flyball.gateway.answering import Answering
from flyball.gateway.capture_writer import CaptureWriter
from flyball.gateway.handlers import MAX_ROWS
from flyball.gateway.ids import FreshIds
from flyball.gateway.lease import Lease
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
    """Ids, who answers, metrics, the record made: all that answers but the model."""
    capture_us: float
    encode_us: float


async def time_stages(options: Options, world: World, model: str, bodies: Sequence[bytes]) -> Stages:
    """Raises NotFound when the table has no such model, ArtifactDamaged, RequestError."""
    capture = CaptureWriter(options.state_dir / "capture", options.worker, world.now_us)
    metrics = Metrics(options.worker, capture)
    lease = Lease(options.state_dir / "lease", options.lease_seconds, world.now_us)
    answering = Answering(capture, lease, FreshIds(world.random_bytes), metrics)
    tables = Tables(options.state_dir / "routing.json", Shelf(options.limits), MAX_ROWS, lambda _: None)
    try:
        await tables.reload()
        live = tables.live.routes.get(model) if tables.live else None
        if live is None:
            raise NotFound(f"there is no model {model!r} in the routing table")
        return await _timed(_Bench(live, answering, capture), bodies, world.now_us)
    finally:
        answering.close()
        capture.close()
        tables.close()


class _Bench:
    def __init__(self, live: LiveRoute, answering: Answering, capture: CaptureWriter) -> None:
        self._live = live
        self._answering = answering
        self._capture = capture

    async def once(self, body: bytes, at_us: int) -> tuple[int, tuple[float, ...]]:
        """(rows, seconds of each stage)"""
        champion, moments = self._live.champion, [perf_counter()]
        rows = self._live.reader.read(body)
        moments.append(perf_counter())
        champion.model.score({name: rows.columns[name] for name in champion.names}, rows.n)
        moments.append(perf_counter())
        answer, records = await self._answering.answer(self._live, rows, at_us, 1)
        moments.append(perf_counter())
        self._capture.hand_over(records)
        moments.append(perf_counter())
        json_response(plain.predictions(self._live, answer))
        moments.append(perf_counter())
        return rows.n, tuple(after - before for before, after in pairwise(moments))


async def _timed(bench: _Bench, bodies: Sequence[bytes], now_us: Callable[[], int]) -> Stages:
    taken = []
    rows = 0
    for at in range(WARM_UP + CALLS):
        rows, seconds = await bench.once(bodies[at % len(bodies)], now_us())
        taken.append(seconds)
    parse, model, answered, capture, encode = (median(each) * 1e6 for each in zip(*taken[WARM_UP:], strict=True))
    return Stages(
        rows=rows, parse_us=parse, model_us=model, route_us=max(answered - model, 0.0), capture_us=capture, encode_us=encode
    )
