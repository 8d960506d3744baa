"""Claims about whose turn it is: a queue has one batch at a time, also while others are refused."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench.model import NAMES, onnx, package

from flyball.control.tallies import Tally
from flyball.errors import DeadlinePassed, ModelFailed, Overloaded
from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch
from flyball.gateway.callers import Caller
from flyball.gateway.capture_writer import CaptureWriter
from flyball.gateway.handlers import MAX_ROWS
from flyball.gateway.ids import FreshIds
from flyball.gateway.inference import Clocks, Inference, Parts
from flyball.gateway.keepers import Keepers
from flyball.gateway.lanes import Lanes
from flyball.gateway.metrics import Metrics
from flyball.gateway.queueing import MAX_QUEUED_ROWS
from flyball.gateway.refusals import Refusals
from flyball.gateway.runtimes.contract import CodeLimits, Columns, Runtime
from flyball.gateway.shadows import Shadows
from flyball.gateway.tables import LiveRoute, LiveTable, Tables
from flyball.gateway.units import Shelf
from flyball.gateway.validation import Rows
from flyball.records import codec
from flyball.records.captured import Captured, FailureBatch
from flyball.records.routing import Route, RoutingTable
from flyball.records.scores import Scores


class Noted(CaptureWriter):
    """A worker's capture, and what it was given."""

    def __init__(self, directory: Path, worker: str, now_us: Callable[[], int]) -> None:
        super().__init__(directory, worker, now_us)
        self.handed: list[Captured] = []

    def hand_over(self, records: Sequence[Captured]) -> bool:
        self.handed += records
        return super().hand_over(records)


class Counted(Answering):
    """The answering of a worker, how many calls there were, and at once; and what was captured of them."""

    capture: Noted

    calls = 0
    under_way = 0
    most = 0

    async def beside(self, live: LiveRoute, batch: Batch, until: float | None, bound: float | None = None) -> Answered:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await super().beside(live, batch, until, bound)
        finally:
            self.under_way -= 1

    def at_once(self, live: LiveRoute, batch: Batch) -> Answered:
        self.calls += 1
        return super().at_once(live, batch)


class Slow:
    """A runtime that takes so long for each row, and for each call."""

    steady = False
    most, dying_seconds = 10**9, 0.0
    """It dies of more rows, after so long."""

    def __init__(self, runtime: Runtime, row_seconds: float, call_seconds: float = 0.0) -> None:
        self._runtime = runtime
        self._row_seconds, self._call_seconds = row_seconds, call_seconds
        self.calls: list[int] = []

    def score(self, columns: Columns, n: int) -> Scores:
        self.calls.append(n)
        if n > self.most:
            time.sleep(self.dying_seconds)
            raise ModelFailed("it was too late", died=True)
        time.sleep(self._call_seconds + n * self._row_seconds)
        return self._runtime.score(columns, n)

    def close(self) -> None:
        self._runtime.close()


@pytest.fixture(scope="module")
def model() -> bytes:
    return onnx()


@asynccontextmanager
async def served(
    directory: Path, model: bytes, inline_rows: int, deadline_seconds: float = 5.0, challenger: str = ""
) -> AsyncIterator[tuple[Inference, Counted, LiveTable, LiveRoute]]:
    """What a worker answers with, without doors; its calls are made on the loop up to so many rows (0: beside it). A `challenger`
    is its "shadow", or its "canary" and a shadow as well."""
    unit = package(directory / "package", model)
    other = package(directory / "challenger", model, unit_id="u00000000000c") if challenger else None
    shadows = () if other is None else (other,)
    route = Route(
        model="shop", champion=unit, canary=other if challenger == "canary" else None, canary_weight=0.5, shadows=shadows
    )
    table = RoutingTable(revision=1, written_at=datetime(2026, 1, 1, tzinfo=UTC), routes=(route,))
    (directory / "routing.json").write_bytes(codec.encode(table))
    capture = Noted(directory / "capture", "w0", lambda: time.time_ns() // 1000)
    metrics = Metrics(capture)
    now = asyncio.get_running_loop().time
    answering = Counted(metrics, lambda: False, now)
    answering.capture = capture
    keepers = Keepers(directory / "capture.key", secrets.token_bytes)
    tables = Tables(directory / "routing.json", Shelf(CodeLimits()), MAX_ROWS, lambda _: None, keepers)
    ids = FreshIds(secrets.token_bytes)
    lanes = Lanes(capture, ids, metrics, lambda: False, lambda: 0)
    parts = Parts(tables, answering, Shadows(answering, capture, tables, metrics), capture, ids, metrics, lanes)
    try:
        await tables.reload()
        assert tables.live is not None
        live = tables.live.routes["shop"]
        live.inline_rows = inline_rows
        live.queue.on_loop = inline_rows > 0
        clocks = Clocks(lambda: time.time_ns() // 1000, now)
        yield Inference(parts, clocks, simulated=False, deadline_seconds=deadline_seconds), answering, tables.live, live
    finally:
        capture.close()
        tables.close()


def request(n: int) -> Rows:
    return Rows(n, {}, None, None, [(0.5,) * len(NAMES)] * n)


def test_a_model_beside_the_loop_gets_one_call_at_a_time_whoever_is_refused_meanwhile(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=0) as (inference, answering, table, live):
            waiting: set[asyncio.Task[object]] = set()
            refused = 0
            until = time.monotonic() + 120
            while answering.calls < 60 and time.monotonic() < until:
                try:
                    inference.open_route("shop")
                except Overloaded:
                    refused += 1
                else:
                    waiting.add(asyncio.ensure_future(inference.answer(table, live, request(MAX_QUEUED_ROWS // 10))))
                await asyncio.sleep(0)
            assert (answering.calls >= 60, refused > 60) == (True, True)
            assert answering.most == 1
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert sum(isinstance(each, Overloaded) for each in answers) < len(answers) / 2
            assert live.queue.rows == live.queue.busy_rows == 0

    asyncio.run(played())


def test_a_refusal_that_has_a_batch_answered_begins_no_second_chain_of_them(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=4) as (inference, answering, table, live):
            waiting = [asyncio.ensure_future(inference.answer(table, live, request(4))) for _ in range(200)]
            await asyncio.sleep(0)
            live.queue.learn(1, 1e9)
            for _ in range(5):
                with suppress(Overloaded):
                    inference.open_route("shop")
                    pytest.fail("it was not refused")
            turns = []
            for _ in range(20):
                before = answering.calls
                await asyncio.sleep(0)
                turns.append(answering.calls - before)
            assert turns == [1] * 20
            await asyncio.gather(*waiting)
            assert answering.calls == 200

    asyncio.run(played())


def test_a_few_rows_do_not_wait_for_the_whole_of_a_large_request(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=0, deadline_seconds=0.2) as (inference, _, table, live):
            live.champion.model.runtime = slow = Slow(live.champion.model.runtime, 0.001)
            live.champion.model.call_seconds = 0.001
            large = asyncio.ensure_future(inference.answer_rows(table, live, request(1200)))
            while len(slow.calls) < 4:
                await inference.answer(table, live, request(1))
            begun = len(slow.calls)
            assert live.queue.others_seconds > 0.02, "it waited behind slices"
            await inference.answer(table, live, request(3))
            assert len(slow.calls) - begun <= 4
            large.cancel()
            with suppress(asyncio.CancelledError):
                await large

    asyncio.run(played())


def test_a_call_that_costs_much_makes_requests_of_few_rows_not_long(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=0, deadline_seconds=0.1) as (inference, _, table, live):
            live.champion.model.runtime = slow = Slow(live.champion.model.runtime, 0.0, 0.01)
            live.champion.model.call_seconds = 0.01
            for n in (8, 8, 8):
                await inference.answer(table, live, request(n))
            assert slow.calls[-1] == 8, "and not in slices"

    asyncio.run(played())


def test_what_a_unit_failed_on_before_it_was_asked_for_less_is_captured_and_cost_nobody_an_answer(
    tmp_path: Path, model: bytes
) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=0, deadline_seconds=1.0) as (inference, answering, table, live):
            live.champion.model.runtime = slow = Slow(live.champion.model.runtime, 0.0)
            slow.most, slow.dying_seconds, live.champion.model.call_seconds = 512, 0.7, 1e-9
            answer = await inference.answer_rows(table, live, request(1024))
            failed = [each for each in answering.capture.handed if isinstance(each, FailureBatch)]
            assert (len(answer.scores), slow.calls) == (1024, [1024, 512, 512])
            assert [(each.n, each.unit, each.answered_by) for each in failed] == [(1024, live.champion.id, live.champion.id)]

    asyncio.run(played())


def test_a_request_whose_time_is_over_is_counted_once_whether_its_model_was_asked_or_not(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=0) as (inference, answering, table, live):
            live.champion.model.runtime = Slow(live.champion.model.runtime, 0.0, 0.3)
            refusals = Refusals(answering.capture, lambda: table, lambda: 5)
            asked: list[bool] = []

            async def send(seconds: float) -> None:
                caller = Caller(asyncio.get_running_loop().time() + seconds, lambda: asyncio.sleep(9))
                try:
                    await inference.answer(table, live, request(1), None, caller)
                except DeadlinePassed as passed:
                    asked.append(passed.asked)
                    refusals.count("shop", passed)

            await asyncio.gather(send(5.0), send(5.0), send(0.1))
            assert asked == [True], "its batch is answered for those that are more patient"
            await send(0.1)
            await inference.drain()
            assert asked == [True, True], "its batch hands its failure over"
            live.queue.row_seconds = live.queue.others_seconds = 0.0  # else it is refused at once
            first = asyncio.create_task(send(5.0))
            while not live.queue.busy_rows:
                await asyncio.sleep(0)
            await send(0.1)
            assert asked == [True, True, False], "it waited for the call before its own"
            await first
            await inference.drain()
            refusals.hand_over()
            tally = Tally()
            for record in answering.capture.handed:
                tally.add(record)
            assert (tally.answered, tally.failed, tally.turned_away) == (4, 1, 1)

    asyncio.run(played())
