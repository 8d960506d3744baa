"""Requests without a column that the champion cannot do without, and its fallback can: whose failure they are, and what they cost the others."""

import asyncio
import json

import numpy as np
import pytest

from flyball.errors import ModelFailed, RequestError
from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch, Job
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.servable import remaining
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.gateway.units import LoadedModel
from flyball.gateway.validation import Rows
from flyball.records.routing import Route, ServedUnit
from flyball.records.scores import Scores
from flyball.records.signature import Column, ColumnType, Signature, Unknown
from flyball.records.unit import Format, Unit

A, TOWN = Column(name="a", type=ColumnType.NUMBER), Column(name="town", type=ColumnType.CATEGORY)


class Constant:
    """Answers every row with 0, or fails."""

    steady = True
    works = True

    def score(self, columns: Columns, n: int) -> Scores:
        if not self.works:
            raise ModelFailed("broken")
        return np.zeros((n, 1))

    def close(self) -> None:
        """It holds nothing."""


def served(version: int, *columns: Column) -> ServedUnit:
    unit = Unit(id=f"m@{version}", model="m", version=version, manifest_digest="", threshold=None, policy_digest="")
    return ServedUnit(unit=unit, package="/nowhere", format=Format.ONNX, signature=Signature(task="regression", columns=columns))


NEW, OLD = served(2, A, TOWN), served(1, A)
ROUTE = Route(model="m", champion=NEW, fallback=OLD, shadows=(OLD,))
WITH, WITHOUT = {"a": 1, "town": "Oslo"}, {"a": 1}


class Played:
    """A route whose models are at hand, on a clock that stands until it is moved."""

    def __init__(self, *loaded: ServedUnit, route: Route = ROUTE) -> None:
        self.runtimes = {each.unit.id: Constant() for each in loaded}
        units = {
            each.unit.id: LiveUnit(each, LoadedModel("", each.signature, self.runtimes[each.unit.id], 10)) for each in loaded
        }
        left = remaining(route, units)
        assert left is not None
        self.live = LiveRoute(left, units, None, route, 100)
        self.now = 0.0
        self.answering = Answering(Metrics(NoCapture()), lambda: True, lambda: self.now)

    def read(self, *rows: dict[str, object]) -> Rows:
        return self.live.reader.read(json.dumps({"rows": rows}).encode())

    def batch(self, *requests: Rows) -> Batch:
        """Requests that share one."""
        loop = asyncio.new_event_loop()
        jobs = [Job(rows, None, None, loop.create_future()) for rows in requests]
        loop.close()
        return Batch(jobs, 0, [f"{at}" for at in range(sum(rows.n for rows in requests))], self.live.builder)

    def answered(self, *requests: Rows) -> Answered:
        return self.answering.at_once(self.live, self.batch(*requests))

    def units(self, *requests: Rows) -> list[str]:
        return [unit.id for unit in self.answered(*requests).units if unit is not None]


@pytest.fixture
def played() -> Played:
    return Played(NEW, OLD)


def test_an_open_circuit_is_probed_by_what_the_unit_is_asked_for(played: Played) -> None:
    old, good = played.read(WITHOUT), played.read(WITH)
    played.runtimes["m@2"].works = False
    for _ in range(5):
        played.answered(good)
    assert played.live.champion.breaker.open
    played.runtimes["m@2"].works, played.now = True, 1.0
    assert played.units(old) == ["m@1"]
    assert played.units(good) == ["m@2"]
    played.now = 2.0
    assert played.units(old, good) == ["m@1", "m@2"]


def test_who_asks_the_champion_alone_leaves_nothing_out(played: Played) -> None:
    assert played.units(played.read(WITHOUT)) == ["m@1"]
    played.live = played.live.champion_only
    with pytest.raises(RequestError, match=r"rows\[0\].town: found nothing"):
        played.read(WITHOUT)
    assert played.units(played.read({"a": 1, "town": ""})) == ["m@2"]


def test_where_the_fallback_could_not_be_loaded_nothing_is_left_out_either() -> None:
    with pytest.raises(RequestError, match=r"rows\[0\].town: found nothing"):
        Played(NEW).read(WITHOUT)
    alone = Played(OLD)
    assert alone.units(alone.read(WITHOUT), alone.read(WITH)) == ["m@1", "m@1"]


@pytest.mark.parametrize("town", ["", "Oslo"])
def test_an_empty_category_is_not_left_out(played: Played, town: str) -> None:
    """Read the quick way, and the careful one."""
    rows = {"a": 1, "town": town}
    careful = played.live.reader.read_carefully({"rows": [rows]})
    assert played.units(played.read(rows), careful) == ["m@2", "m@2"]
    assert played.answered(careful).failures == []
    assert played.units(played.read(WITHOUT), played.live.reader.read_carefully({"rows": [WITHOUT]})) == ["m@1", "m@1"]


def test_what_no_unit_takes_is_the_clients_mistake_and_nobodys_failure() -> None:
    """The new one takes fewer numbers and more towns: each takes less than the other."""
    less = served(2, Column(name="a", type=ColumnType.NUMBER, maximum=10), TOWN)
    towns = Column(name="town", type=ColumnType.CATEGORY, missing=True, categories=("Oslo",), unknown=Unknown.REFUSE)
    more = served(1, Column(name="a", type=ColumnType.NUMBER, maximum=100), towns)
    played = Played(less, more, route=Route(model="m", champion=less, fallback=more))
    neither, old, good = ({"a": 50, "town": "Bergen"}, {"a": 50, "town": "Oslo"}, {"a": 1, "town": "Bergen"})
    found = played.answered(played.read(neither), played.read(old), played.read(good))
    assert [unit.id if unit else None for unit in found.units] == [None, "m@1", "m@2"]
    assert [(at, type(told).__name__, told.http_status) for at, told in found.failed.items()] == [(0, "RequestError", 422)]
    assert "'town'" in found.failed[0].message
    batch = played.batch(played.read(neither), played.read(neither, good, neither))
    told = [played.answering.at_once(played.live, batch).of(batch, number) for number in (0, 1)]
    assert [each.rows for each in told if isinstance(each, RequestError)] == [1, 3], "all that it had"
    assert [(each.unit, each.n, each.answered_by) for each in found.failures] == [("m@2", 1, "m@1")]
