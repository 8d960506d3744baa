"""Claims about requests with `explain` on their way through a worker: none fails untold, and none costs the others their pace. The model is
real; only what explains it is a stand-in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from bench.model import NAMES, onnx
from test_turns import Counted, Slow, served
from test_turns import request as rows

from flyball.control.tallies import Tally
from flyball.errors import FlyballError, ModelFailed
from flyball.gateway.callers import NOBODY, Caller
from flyball.gateway.explaining import Attribution, Explaining
from flyball.gateway.handlers import Handlers, Parts, Request, Settings
from flyball.gateway.inference import Inference
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import Response
from flyball.gateway.refusals import Refusals
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.tables import LiveRoute, LiveTable
from flyball.records.captured import PredictionBatch, RefusalBatch, Refused

Explain = Callable[[], Awaitable[None]]
BODY = msgspec.json.encode({"rows": [dict.fromkeys(NAMES, 0.5)], "explain": True})


class StandIn(Explaining):
    """Explains every unit, once it was awaited."""

    def __init__(self, metrics: Metrics, explain: Explain) -> None:
        super().__init__(CodeLimits(), metrics)
        self._explain = explain

    def admitted(self, live: LiveRoute, rows: Any) -> AbstractContextManager[None]:
        return nullcontext()

    async def _explained(self, unit: Any, columns: Any, of: list[int]) -> list[Attribution]:
        await self._explain()
        return [Attribution(dict.fromkeys(NAMES, 0.0), 0.0)] * len(of)


class World(NamedTuple):
    handlers: Handlers
    inference: Inference
    answering: Counted
    table: LiveTable
    live: LiveRoute

    async def ask(self, caller: Caller = NOBODY) -> Response:
        return await self.handlers.doors()["predict"](Request("shop", BODY, [], caller))


@asynccontextmanager
async def world(directory: Path, explain: Explain) -> AsyncIterator[World]:
    async with served(directory, onnx(), inline_rows=0, deadline_seconds=1.0) as (inference, answering, table, live):
        metrics = Metrics(answering.capture)
        nobody: Any = SimpleNamespace()
        parts = Parts(nobody, inference, answering.capture, nobody, metrics, StandIn(metrics, explain))
        yield World(Handlers(Settings("w0", 1, False), parts, lambda: 0), inference, answering, table, live)


async def breaks() -> None:
    raise ModelFailed("the explainer has ended", retry_after=3, died=True)


async def hangs() -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(("explain", "reason", "status"), [(breaks, "ExplanationFailed", 503), (hangs, "DeadlinePassed", 504)])
def test_one_that_was_answered_and_could_not_be_explained_is_counted_once(
    tmp_path: Path, explain: Explain, reason: str, status: int
) -> None:
    async def played() -> None:
        async with world(tmp_path, explain) as of:
            refusals = Refusals(of.answering.capture, lambda: of.table, lambda: 5)
            with pytest.raises(FlyballError) as caught:
                await of.ask(Caller(asyncio.get_running_loop().time() + 0.5))
            assert (type(caught.value).__name__, caught.value.http_status) == (reason, status)
            assert getattr(caught.value, "retry_after", 3) == 3
            refusals.count("shop", caught.value)
            refusals.hand_over()
            [told] = of.answering.capture.handed
            assert isinstance(told, RefusalBatch)
            assert told.refused == [Refused(reason, status, 1, 1)]
            tally = Tally()
            tally.add(told)
            assert (tally.answered, tally.failed, tally.turned_away) == (0, 0, 1)

    asyncio.run(played())


def test_what_took_long_to_explain_is_captured_as_of_that_moment(tmp_path: Path) -> None:
    """Its window would be taken for whole before it came."""
    explained: list[int] = []

    async def slowly() -> None:
        await asyncio.sleep(0.05)
        explained.append(time.time_ns() // 1000)

    async def played() -> None:
        async with world(tmp_path, slowly) as of:
            assert (await of.ask()).status == 200
            [told] = of.answering.capture.handed
            assert isinstance(told, PredictionBatch)
            assert told.at_us >= explained[0]

    asyncio.run(played())


def test_one_leaves_the_pace_of_large_requests_as_it_was(tmp_path: Path) -> None:
    async def at_once() -> None:
        pass

    async def played() -> None:
        async with world(tmp_path, at_once) as of:
            model = of.live.champion.model
            model.runtime = slow = Slow(model.runtime, 0.0003)
            model.call_seconds = 0.0003
            await of.inference.answer_rows(of.table, of.live, rows(1800))
            before = of.live.turns.pace([model.fingerprint], None).rows  # type: ignore[arg-type]
            assert before > 300
            assert (await of.ask()).status == 200
            assert slow.calls[-1] == 1
            assert of.live.turns.pace([model.fingerprint], None).rows == before  # type: ignore[arg-type]

    asyncio.run(played())
