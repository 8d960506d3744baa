"""Claims about how many explainers run at once: only what a process does is a stand-in, since a real one takes seconds to begin."""

import asyncio
import time

import numpy as np

from flyball.errors import ModelFailed
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.explaining import MAX_EXPLAINERS, Explainer, Explaining
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.tables import LiveUnit
from flyball.records.routing import ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Unit

SIGNATURE = Signature(task="regression", columns=(Column(name="a", type=ColumnType.NUMBER),))


class Machine:
    """Its processes."""

    def __init__(self, call_seconds):
        self.call_seconds = call_seconds
        self.up, self.most, self.calls = 0, 0, 0

    def started(self, served, limits, after=None):
        return SlowExplainer(self, served, limits, after)


class Process:
    def __init__(self, machine):
        self.machine = machine
        machine.up += 1
        machine.most = max(machine.most, machine.up)
        time.sleep(0.01)

    def call(self, request, limit, read):
        self.machine.calls += 1
        time.sleep(self.machine.call_seconds)
        return []

    def close(self):
        self.machine.up -= 1


class SlowExplainer(Explainer):
    def __init__(self, machine, *of):
        super().__init__(*of)
        self.machine = machine

    def _launched(self):
        return Process(self.machine)


def unit(name):
    made = Unit(id=name, model="shop", version=1, manifest_digest=name, threshold=None, policy_digest="")
    return LiveUnit(ServedUnit(unit=made, package="/nowhere", format=Format.ONNX, signature=SIGNATURE), None)


def asked(explaining, name):
    return asyncio.ensure_future(explaining._explained(unit(name), {"a": np.zeros((1, 1), np.float32)}, [0]))


def explaining_on(machine):
    return Explaining(CodeLimits(), Metrics(NoCapture()), machine.started)


def test_no_more_run_at_once_than_may_also_where_callers_give_up():
    machine = Machine(0.15)

    async def story():
        explaining = explaining_on(machine)
        refused = 0
        for number in range(3 * MAX_EXPLAINERS):
            asking = asked(explaining, f"u{number}")
            await asyncio.sleep(0.005)
            asking.cancel()
            (ended,) = await asyncio.gather(asking, return_exceptions=True)
            refused += isinstance(ended, ModelFailed)
        assert refused == 2 * MAX_EXPLAINERS
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up, machine.calls) == (MAX_EXPLAINERS, 0, MAX_EXPLAINERS)


def test_an_idle_one_gives_way_and_the_next_begins_when_it_has_gone():
    machine = Machine(0.0)

    async def story():
        explaining = explaining_on(machine)
        for number in range(3 * MAX_EXPLAINERS):
            assert await asked(explaining, f"u{number}") == []
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up, machine.calls) == (MAX_EXPLAINERS, 0, 3 * MAX_EXPLAINERS)


def test_those_of_units_that_have_left_count_until_they_have_ended_and_hold_up_nobody_who_is_idle():
    machine = Machine(0.0)

    async def story():
        explaining = explaining_on(machine)
        assert await asked(explaining, "idle") == []
        machine.call_seconds = 0.3
        busy = [asked(explaining, f"u{number}") for number in range(MAX_EXPLAINERS - 1)]
        while machine.calls < MAX_EXPLAINERS:
            await asyncio.sleep(0.005)
        explaining.forget_others({"idle"})
        machine.call_seconds = 0.0
        assert await asked(explaining, "next") == []
        assert not any(each.done() for each in busy)  # the idle one was gone at once, whoever else is waited for
        assert await asyncio.gather(*busy) == [[]] * len(busy)
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up) == (MAX_EXPLAINERS, 0)


def test_a_call_whose_caller_has_left_holds_its_place_until_it_has_ended():
    machine = Machine(0.1)

    async def story():
        explaining = explaining_on(machine)
        asking = asked(explaining, "u")
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert explaining.calls([unit("u")]) == 1
        await asyncio.sleep(0.2)
        assert explaining.calls([unit("u"), unit("other")]) == 0
        explaining.close()

    asyncio.run(story())
