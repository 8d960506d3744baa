"""Claims about calls of shadows: none as long as would end a model's process, and none for which other shadows wait for ever."""

import asyncio
from pathlib import Path

import pytest
from bench.model import onnx
from test_turns import Slow, request, served

from flyball.errors import ModelFailed
from flyball.gateway import shadow_calls
from flyball.gateway.answering import Answering
from flyball.gateway.batches import Batch, Job
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import Columns, Scores
from flyball.gateway.shadow_calls import ShadowCalls
from flyball.gateway.tables import LiveRoute, LiveTable
from flyball.records.captured import Captured, FailureBatch, PredictionBatch


@pytest.fixture(scope="module")
def model() -> bytes:
    return onnx()


class Calls(ShadowCalls):
    """Of one shadow, and what they are counted as."""

    def __init__(self, answering: Answering, table: LiveTable) -> None:
        self.metrics = Metrics(NoCapture())
        super().__init__(answering, self.metrics, table.routes.values)
        self._champion = answering

    async def of(self, table: LiveTable, live: LiveRoute, sizes: list[int]) -> list[Captured]:
        """The records of requests of such sizes, which the champion answered."""
        answers = []
        for number, n in enumerate(sizes):
            job = Job(request(n), None, None, asyncio.get_running_loop().create_future())
            batch = Batch([job], 0, [f"{number}/{at}" for at in range(n)], live.builder)
            answers.append((batch, self._champion.at_once(live, batch)))
        return await self.records(table, live, answers)

    @property
    def dropped(self) -> float:
        (found,) = self.metrics.shadow_dropped.collect()
        return found.samples[0].value


def slowed(live: LiveRoute, row_seconds: float) -> Slow:
    """The runtime of the route's shadow, so slow, as was seen when it was loaded."""
    loaded = live.shadows[0].model
    loaded.runtime = slow = Slow(loaded.runtime, row_seconds)
    loaded.call_seconds, loaded.inline_rows = row_seconds, 0
    return slow


def test_no_call_of_a_shadow_takes_more_than_its_share_of_the_model_s_deadline(tmp_path: Path, model: bytes) -> None:
    async def played() -> None:
        async with served(tmp_path, model, inline_rows=4, challenger="shadow") as (_, answering, table, live):
            slow = slowed(live, 0.001)
            live.shadows[0].model.deadline_seconds = 0.15
            calls = Calls(answering, table)
            (record,) = await calls.of(table, live, [200])
            assert isinstance(record, PredictionBatch)
            assert record.ids == [f"0/{at}" for at in range(200)]
            assert (sum(slow.calls), calls.dropped) == (200, 0)
            assert slow.calls[0] == 45
            assert max(slow.calls) * 0.001 < 0.15

    asyncio.run(played())


class Failing(Slow):
    """At calls of these numbers."""

    numbers: frozenset[int]

    def score(self, columns: Columns, n: int) -> Scores:
        if len(self.calls) in self.numbers:
            self.calls.append(n)
            raise ModelFailed("it raised")
        return super().score(columns, n)


@pytest.mark.parametrize("challenger", ["shadow", "canary"])
@pytest.mark.parametrize(
    ("sizes", "numbers"), [([120], {2}), ([120], {0}), ([30, 60, 30], {2}), ([30, 60, 30], {2, 3}), ([60, 60], {*range(2, 99)})]
)
def test_a_shadow_that_fails_midway_fails_at_the_rows_of_that_call_alone(
    tmp_path: Path, model: bytes, challenger: str, sizes: list[int], numbers: set[int]
) -> None:
    """What it had scored are predictions, what it was not asked is dropped. Several requests' rows that it failed at together are asked once more."""

    async def played() -> None:
        async with served(tmp_path, model, inline_rows=4, challenger=challenger) as (_, answering, table, live):
            loaded = live.shadows[0].model
            loaded.runtime = failing = Failing(loaded.runtime, 0.0)
            failing.numbers = frozenset(numbers)
            loaded.call_seconds, loaded.inline_rows, loaded.deadline_seconds = 1.0, 0, 10.0
            calls = Calls(answering, table)
            records = await calls.of(table, live, sizes)
            scored = [each for record in records if isinstance(record, PredictionBatch) for each in record.ids]
            failed = sum(record.n for record in records if isinstance(record, FailureBatch))
            lost = [n for number, n in enumerate(failing.calls) if number in numbers]
            assert scored == list(dict.fromkeys(scored))
            assert len(scored) == sum(failing.calls) - sum(lost)
            assert failed == sum(lost[len(sizes) > 1 :])
            assert len(sizes) > 1 or max(numbers) == len(failing.calls) - 1
            assert len(scored) + failed + calls.dropped == sum(sizes)

    asyncio.run(played())


@pytest.mark.parametrize("sizes", [[40], [1, 39], [15, 15, 10]])
def test_a_model_that_is_seldom_idle_keeps_what_it_scored_and_drops_the_rest(
    tmp_path: Path, model: bytes, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_calls, "PATIENCE_SECONDS", 0.05)

    async def played() -> None:
        async with served(tmp_path, model, inline_rows=4, challenger="canary") as (_, answering, table, live):
            slow = slowed(live, 0.0)
            live.shadows[0].model.call_seconds = shadow_calls.MOMENT_SECONDS

            async def busy() -> None:
                for seen in range(40):
                    while len(slow.calls) == seen:
                        await asyncio.sleep(0)
                    live.queue.busy_rows = 1
                    await asyncio.sleep(0.03)
                    live.queue.busy_rows = 0

            others, calls = asyncio.ensure_future(busy()), Calls(answering, table)
            records = await asyncio.wait_for(calls.of(table, live, sizes), 2.0)
            others.cancel()
            told = [each for record in records for each in record.ids]
            assert 0 < len(told) == sum(slow.calls) < 40
            assert told == [f"{number}/{at}" for number, n in enumerate(sizes) for at in range(n)][: len(told)]
            assert len(told) == sum(len(record.scores) for record in records)
            assert calls.dropped == 40 - len(told)

    asyncio.run(played())
