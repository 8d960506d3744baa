"""Calls of one model's process take turns on the event loop: none waits within what is measured, and none overtakes."""

import asyncio
import gc
import weakref
from types import SimpleNamespace

import numpy as np

from flyball.gateway.answering import _Call
from flyball.gateway.columns import Table
from flyball.gateway.parts import Part, Scored
from flyball.gateway.units import LoadedModel

SECONDS = 0.2


class Unit:
    """Of a process that takes `SECONDS` a call; rows beyond `begun_rows` in a thread."""

    id = "m@1"

    def __init__(self):
        self.model = LoadedModel("f", None, None, 0)
        self.model.begun_rows = 10
        self.said = []

    def begin(self, columns, n):
        return self._soon(n)

    async def _soon(self, n):
        self.said.append(f"begins {n}")
        await asyncio.sleep(SECONDS)
        self.said.append(f"ends {n}")
        return np.zeros((n, 1))

    def score(self, columns, n):
        self.said += [f"begins {n}", f"ends {n}"]
        return np.zeros((n, 1))


def call(unit, n):
    batch = SimpleNamespace(n=n, taken=lambda _rows: Table({}))
    return _Call(Part(unit, "champion", None), batch)


def test_they_are_made_in_the_order_in_which_they_came_whichever_way_each_is_made():
    unit = Unit()

    async def play():
        return await asyncio.gather(*(call(unit, n).outcome for n in (1, 2, 50, 3)))

    outcomes = asyncio.run(play())
    assert unit.said == [f"{what} {n}" for n in (1, 2, 50, 3) for what in ("begins", "ends")]
    assert all(isinstance(each, Scored) for each in outcomes)
    assert outcomes[3].seconds < 2 * SECONDS, "what it waited for is no time of the model's"


def test_one_that_waits_can_be_taken_back_and_one_that_is_made_cannot():
    unit = Unit()

    async def play():
        first, second, third = call(unit, 1), call(unit, 2), call(unit, 3)
        await asyncio.sleep(SECONDS / 4)
        assert not first.cancel()
        assert second.cancel()
        await asyncio.gather(first.outcome, third.outcome)

    asyncio.run(play())
    assert unit.said == ["begins 1", "ends 1", "begins 3", "ends 3"]


def test_what_a_call_held_is_freed_with_its_last_reference():
    """A ring would stay until the collector comes: the rows of each request, and a pause for all others."""
    unit = Unit()

    async def play():
        made = [call(unit, n) for n in (1, 50)]
        await asyncio.gather(*(each.outcome for each in made))
        return [weakref.ref(each) for each in made]

    gc.disable()
    try:
        assert [each() for each in asyncio.run(play())] == [None, None]
    finally:
        gc.enable()
