"""Claims about how many explainers run at once: only what a process does is a stand-in, since a real one takes seconds to begin."""

import asyncio
import threading
import time

import numpy as np
import pytest

from flyball.errors import ModelFailed
from flyball.gateway import explaining as explaining_module
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
    """Its processes; a call ends once `go_on` is set, as it was when the call began."""

    def __init__(self):
        self.go_on = threading.Event()
        self.go_on.set()
        self.up, self.most, self.calls = 0, 0, 0

    def hold(self):
        """Until what is returned is set, for calls that begin from now on."""
        self.go_on = threading.Event()
        return self.go_on

    def started(self, served, limits, after=None):
        return SlowExplainer(self, served, limits, after)


class Process:
    def __init__(self, machine):
        self.machine = machine
        machine.up += 1
        machine.most = max(machine.most, machine.up)
        time.sleep(0.01)

    def call(self, request, limit, read):
        go_on = self.machine.go_on
        self.machine.calls += 1
        time.sleep(0.02)
        assert go_on.wait(60)
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


def asked(explaining, name, n=1):
    return asyncio.ensure_future(explaining._explained(unit(name), {"a": np.zeros((n, 1), np.float32)}, [0] * n))


def explaining_on(machine):
    return Explaining(CodeLimits(), Metrics(NoCapture()), machine.started)


async def holds(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def test_no_more_run_at_once_than_may_also_where_callers_give_up():
    machine = Machine()
    held = machine.hold()

    async def story():
        explaining = explaining_on(machine)
        refused = 0
        for number in range(3 * MAX_EXPLAINERS):
            asking = asked(explaining, f"u{number}")
            await holds(lambda asking=asking, before=machine.calls: asking.done() or machine.calls > before)
            asking.cancel()
            (ended,) = await asyncio.gather(asking, return_exceptions=True)
            refused += isinstance(ended, ModelFailed)
        assert refused == 2 * MAX_EXPLAINERS
        held.set()
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up, machine.calls) == (MAX_EXPLAINERS, 0, MAX_EXPLAINERS)


def test_an_idle_one_gives_way_and_the_next_begins_when_it_has_gone():
    machine = Machine()

    async def story():
        explaining = explaining_on(machine)
        for number in range(3 * MAX_EXPLAINERS):
            assert await asked(explaining, f"u{number}") == []
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up, machine.calls) == (MAX_EXPLAINERS, 0, 3 * MAX_EXPLAINERS)


def test_those_of_units_that_have_left_count_until_they_have_ended_and_hold_up_nobody_who_is_idle():
    machine = Machine()

    async def story():
        explaining = explaining_on(machine)
        assert await asked(explaining, "idle") == []
        free, held = machine.go_on, machine.hold()
        busy = [asked(explaining, f"u{number}") for number in range(MAX_EXPLAINERS - 1)]
        await holds(lambda: machine.calls == MAX_EXPLAINERS)
        explaining.forget_others({"idle", "next"})
        machine.go_on = free
        assert await asked(explaining, "next") == []
        assert not any(each.done() for each in busy)  # the idle one was gone at once, whoever else is waited for
        held.set()
        assert await asyncio.gather(*busy) == [[]] * len(busy)
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up) == (MAX_EXPLAINERS, 0)


def test_a_call_whose_caller_has_left_holds_its_place_until_it_has_ended():
    machine = Machine()
    held = machine.hold()

    async def story():
        explaining = explaining_on(machine)
        asking = asked(explaining, "u")
        await holds(lambda: machine.calls == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert explaining.calls([unit("u")]) == 1
        held.set()
        await holds(lambda: explaining.calls([unit("u"), unit("other")]) == 0)
        explaining.close()

    asyncio.run(story())


def test_rows_that_do_not_fit_the_time_are_told_with_how_many_do_and_the_process_lives(monkeypatch):
    monkeypatch.setattr(explaining_module, "DEADLINE_SECONDS", 2.0)
    machine = Machine()

    async def story():
        explaining = explaining_on(machine)
        assert await asked(explaining, "u", 3) == []
        assert machine.calls == 3
        free = machine.go_on
        asking = asked(explaining, "u", 320)
        await holds(lambda: machine.calls > 4)
        held = machine.hold()
        begun = time.monotonic()
        with pytest.raises(ModelFailed, match=r"\d+ of 320 rows were explained in 2 s.*at most \d+") as late:
            await asking
        assert time.monotonic() - begun < 20  # the row that is being explained is not waited for
        assert (late.value.retry_after, late.value.died, machine.up) == (0, False, 1)
        assert explaining.calls([unit("u")]) == 1
        made, machine.go_on = machine.calls, free
        held.set()
        await holds(lambda: explaining.calls([unit("u")]) == 0)
        assert machine.calls == made < 320  # nothing goes on for a caller who was told
        assert await asked(explaining, "u") == []
        explaining.close()

    asyncio.run(story())
    assert (machine.most, machine.up) == (1, 0)


def test_none_is_begun_for_a_unit_that_is_served_no_more():
    machine = Machine()

    async def story():
        explaining = explaining_on(machine)
        explaining.forget_others({"new"})
        with pytest.raises(ModelFailed, match="old was replaced"):
            await asked(explaining, "old")
        assert await asked(explaining, "new") == []
        explaining.forget_others({"old"})
        assert await asked(explaining, "old") == []
        explaining.close()

    asyncio.run(story())
    assert (machine.up, machine.calls) == (0, 2)
