"""Units that share a batch are asked in an order that neither of them has for itself, so that equal ones come out equal."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from gateway_rig import ROW, SIGNATURE, onnx_model

from flyball.control.release_tally import PERIOD_US, ReleaseTally
from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch, Job
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.large import kept
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.onnx import OnnxRuntime
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.gateway.units import LoadedModel
from flyball.records.captured import PredictionBatch
from flyball.records.release import Phase, ReleaseState
from flyball.records.routing import Route, ServedUnit
from flyball.records.unit import Format, Unit
from flyball.release import guards
from flyball.release.policy import GuardRule

START = datetime(2026, 1, 5, tzinfo=UTC)
RELEASE = ReleaseState(
    id="r-0002", model="shop", challenger="new", champion="old", phase=Phase.CANARY, opened_at=START, entered_at=START
)  # fmt: skip


class Played:
    """A champion and its canary, each with a runtime of its own over the same bytes."""

    def __init__(self, weight: float) -> None:
        content = onnx_model(0)[0]
        both = [
            ServedUnit(
                unit=Unit(id=name, model="shop", version=1, manifest_digest="", threshold=None, policy_digest=""),
                package="/nowhere", format=Format.ONNX, signature=SIGNATURE,
            )
            for name in ("old", "new")
        ]  # fmt: skip
        units = {each.unit.id: LiveUnit(each, LoadedModel("", SIGNATURE, OnnxRuntime(content, SIGNATURE), 100)) for each in both}
        route = Route(model="shop", champion=both[0], canary=both[1], canary_weight=weight, salt="s")
        self.live = LiveRoute(route, units, None, route, 100)
        self.answering = Answering(Metrics(NoCapture()), lambda: True, time.monotonic)

    def batch(self, number: int, n: int) -> Batch:
        rows = self.live.reader.read(json.dumps({"rows": [{**ROW, "age": 20 + at} for at in range(n)]}).encode())
        loop = asyncio.new_event_loop()
        job = Job(rows, None, None, loop.create_future())
        loop.close()
        return Batch([job], number * PERIOD_US // 500 + 7, [f"{number}-{at}" for at in range(n)], self.live.builder)

    def answered(self, batch: Batch) -> Answered:
        return self.answering.at_once(self.live, batch)

    def captured(self, number: int, n: int) -> list[PredictionBatch]:
        batch = self.batch(number, n)
        return [each for each in self.answered(batch).records(self.live, batch, 1) if isinstance(each, PredictionBatch)]


@pytest.fixture(scope="module")
def played() -> Played:
    return Played(0.5)


def test_either_is_asked_first_in_half_of_the_batches_that_they_share(played: Played) -> None:
    shared = [told for told in (played.captured(number, 6) for number in range(600)) if len(told) == 2]
    assert len(shared) > 500
    assert {tuple(each.turn for each in told) for told in shared} == {(1, 2)}
    first = sum(told[0].unit == "new" for told in shared)
    assert abs(first - len(shared) / 2) < 4 * np.sqrt(len(shared) / 4)


def test_the_order_changes_no_answer_and_is_the_same_for_the_same_ids(played: Played) -> None:
    alone = Played(0.0)
    for number in range(60):
        batch = played.batch(number, 6)
        answered, again = played.answered(batch), played.answered(played.batch(number, 6))
        assert answered.scores == again.scores
        assert [part for part, _ in answered.parts] == [part for part, _ in again.parts]
        assert np.allclose(answered.scores, alone.answered(alone.batch(number, 6)).scores, rtol=0, atol=1e-6)


def test_who_is_asked_alone_has_no_turn_and_one_of_a_large_request_keeps_its_own(played: Played) -> None:
    assert [each.turn for number in range(20) for each in played.captured(number, 1)] == [0] * 20
    answered = next(told for told in (played.answered(played.batch(number, 9)) for number in range(20)) if len(told.parts) == 2)
    again = kept((0, 9), None, 0, answered).again()
    assert [part.turn for part, _ in again.parts] == [1, 2]


@pytest.mark.parametrize("metric", ["latency_p50_ms", "latency_p95_ms"])
def test_equal_units_are_equally_fast(played: Played, metric: str) -> None:
    """Whoever came first took half as long again: 57 µs against 39, told as harm within minutes."""
    tally = ReleaseTally()
    tally.follow(RELEASE, 0, timedelta(days=1))
    for number in range(2000):
        for each in played.captured(number, 10):
            tally.add(each)
    tally.settle(9 * PERIOD_US)
    calls = tally.matched().calls
    assert calls.periods.size > 2000
    rule = GuardRule(name=metric, metric=metric, margin=0.0, alpha=1e-6, must="not_fail", labels=False, shown=True)
    found = guards.latency(calls.latencies_ms[~calls.challengers], calls.latencies_ms[calls.challengers], rule)
    assert found.lower is None or found.lower <= 0.0
    assert found.upper is None or found.upper >= 0.0
