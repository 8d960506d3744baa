"""Requests that the route takes and one of its units does not: whose failure they are, what is said of them, and what they cost the others."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from test_left_out import Constant, Played, served

from flyball.errors import RequestError
from flyball.gateway.answering import Answering
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.large import ArrayRows
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.shadow_calls import ShadowCalls
from flyball.gateway.tables import LiveTable
from flyball.gateway.tensors.datatypes import LAYOUT
from flyball.gateway.tensors.reader import Identity, Tensor
from flyball.gateway.validation import Rows
from flyball.records.captured import FailureBatch, PredictionBatch
from flyball.records.routing import Route, RoutingTable, ServedUnit
from flyball.records.scores import Scores
from flyball.records.signature import Column, ColumnType, Unknown

X = Column(name="x", type=ColumnType.NUMBER)
TOWN = Column(name="town", type=ColumnType.CATEGORY)
LISTED = msgspec.structs.replace(TOWN, categories=("Oslo", "Rome"), unknown=Unknown.REFUSE)


def limited(minimum: float | None = None, maximum: float | None = None, **more: Any) -> Column:
    return msgspec.structs.replace(X, minimum=minimum, maximum=maximum, **more)


def watched(new: Column, old: Column) -> Played:
    """A new champion whose release is watched, before the one that stands in for it."""
    after, before = served(2, new), served(1, old)
    return Played(after, before, route=Route(model="m", champion=after, fallback=before, shadows=(before,)))


def tensor(played: Played, datatype: str, values: list[Any]) -> Rows:
    """As arrays, in the one column that there is."""
    if datatype == "BYTES":
        data: Any = [each.encode() for each in values]
    elif datatype == "BF16":  # cut, as some senders do
        data = memoryview((np.array(values, dtype="<f4").view("<u4") >> 16).astype("<u2").tobytes())
    else:
        data = memoryview(np.array(values, dtype=LAYOUT[datatype]).tobytes())
    name = played.live.columns[0].name
    return played.live.tensors.rows([Tensor(name, datatype, [len(values)], data)], Identity())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (9.5, "m@2 does not take 'x' below 10 (another unit of its route does): found 9.5."),
        (21, "m@2 does not take 'x' above 20 (another unit of its route does): found 21.0."),
    ],
)
def test_who_answers_a_number_that_the_new_champion_does_not_take_and_what_is_said_of_it(value: float, words: str) -> None:
    played = watched(limited(10, 20), limited(0))
    given = played.answered(played.read({"x": value}), played.read({"x": 10}, {"x": 20}))
    assert [unit.id for unit in given.units if unit] == ["m@1", "m@2", "m@2"]
    (failure,) = given.failures
    assert (failure.unit, failure.role, failure.n, failure.reason) == ("m@2", "champion", 1, words)
    assert failure.answered_by == "m@1"
    assert not played.live.champion.breaker.open
    with pytest.raises(RequestError, match=r"rows\[0\].x: found -1, expected a number of at least 0"):
        played.read({"x": -1})


def test_a_category_that_the_new_champion_refuses_is_answered_by_the_one_before() -> None:
    played = watched(LISTED, TOWN)
    given = played.answered(played.read({"town": "Bonn"}), played.read({"town": "Oslo"}), played.read({"town": ""}))
    assert [unit.id for unit in given.units if unit] == ["m@1", "m@2", "m@1"]
    (failure,) = given.failures
    assert (
        failure.reason == "m@2 does not take 'town' other than its categories (another unit of its route does): found \"Bonn\"."
    )
    assert failure.n == 2


def test_a_canary_and_an_arm_are_not_asked_about_what_only_the_champion_takes() -> None:
    old, new = served(1, X), served(2, limited(10))
    for more in ({"canary": new, "canary_weight": 1.0}, {"canary": new, "canary_weight": 1.0, "fallback": old}):
        played = Played(old, new, route=Route(model="m", champion=old, salt="s", **more))
        assert played.units(played.read({"x": 9}), played.read({"x": 10})) == ["m@1", "m@2"]


def test_who_asks_the_new_champion_alone_is_refused_by_its_limits() -> None:
    played = watched(limited(10), X)
    played.live = played.live.champion_only
    with pytest.raises(RequestError, match=r"rows\[0\].x: found 9, expected a number of at least 10"):
        played.read({"x": 9})


@pytest.mark.parametrize("missing", [True, False])
def test_what_may_be_missing_is_within_all_limits(missing: bool) -> None:
    played = watched(limited(10, missing=missing), limited(0, missing=True))
    mine = "m@2" if missing else "m@1"
    careful = played.live.reader.read_carefully({"rows": [{}, {"x": None}]})
    assert played.units(played.read({}), played.read({"x": None}), careful) == [mine] * 4
    assert played.units(tensor(played, "FP64", [np.nan, 12.0])) == [mine] * 2
    assert [each.reason[:22] for each in played.answered(played.read({})).failures] == ["m@2 needs the column '"] * (not missing)


def test_empty_categories_are_missing_where_they_may_be() -> None:
    for column, mine in ((msgspec.structs.replace(LISTED, missing=True), "m@2"), (LISTED, "m@1")):
        played = watched(column, TOWN)
        assert played.units(tensor(played, "BYTES", ["", "Rome"])) == [mine] * 2
        assert played.units(tensor(played, "BYTES", ["Rome", "Oslo"])) == ["m@2"] * 2
        assert played.units(tensor(played, "BYTES", ["Rome", "Bonn"])) == ["m@1"] * 2


def test_whole_numbers_and_truths_are_held_against_their_own_limits() -> None:
    whole = msgspec.structs.replace(X, type=ColumnType.INTEGER)
    played = watched(msgspec.structs.replace(whole, minimum=2**53 + 2), whole)
    rows = [played.live.reader.read(f'{{"rows": [{{"x": {value}}}]}}'.encode()) for value in (2**53 + 1, 2**53 + 2)]
    assert played.units(*rows) == ["m@1", "m@2"]
    truth = msgspec.structs.replace(X, type=ColumnType.BOOLEAN)
    played = watched(truth, msgspec.structs.replace(truth, missing=True))
    assert played.units(played.read({"x": True}), played.read({"x": None}), played.read({"x": False})) == ["m@2", "m@1", "m@2"]


@pytest.mark.parametrize("limit", [0.1, 0.3, 1 / 3, 16777217.0, 1e-7, -0.1, 2.5])
def test_a_unit_takes_what_its_own_signature_would(limit: float) -> None:
    """Of JSON to the last bit; of arrays whatever the model can tell from the limit."""
    draw = np.random.default_rng(7)
    steps = [np.nextafter(limit, np.inf), np.nextafter(limit, -np.inf), limit, *(limit * (1 + draw.normal(0, 1e-3, 40)))]
    for low, high in ((limit, None), (None, limit)):
        played = watched(limited(low, high), X)
        alone = Played(served(2, limited(low, high)), route=Route(model="m", champion=served(2, limited(low, high))))

        def fits(body: bytes, alone: Played = alone) -> bool:
            try:
                return alone.live.reader.read(body).n == 1
            except RequestError:
                return False

        bodies = [json.dumps({"rows": [{"x": float(value)}]}).encode() for value in steps]
        taken = [played.units(played.live.reader.read(body)) == ["m@2"] for body in bodies]
        assert taken == [fits(body) for body in bodies]
        for datatype in ("FP16", "BF16", "FP32", "FP64"):
            for value in steps if limit < 60_000 else steps * (datatype != "FP16"):
                try:
                    own = tensor(alone, datatype, [value]).n == 1
                except RequestError:
                    own = False
                here = played.units(tensor(played, datatype, [value])) == ["m@2"]
                assert here == own or (here and datatype == "FP64" and np.float32(value) == np.float32(limit)), (datatype, value)


def test_halves_of_a_large_request_are_held_against_rounded_limits_too() -> None:
    played = watched(limited(0.1), X)
    sliced = ArrayRows(tensor(played, "FP16", [0.1] * 5)).rows(2, 5)
    assert played.units(sliced) == ["m@2"] * 3


class Counting(Constant):
    """Notes how many rows each call has."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def score(self, columns: Columns, n: int) -> Scores:
        self.calls.append(n)
        return super().score(columns, n)


def counted(played: Played) -> dict[str, list[int]]:
    calls = {}
    for unit in played.live.units:
        unit.model.runtime = counting = Counting()
        calls[unit.id] = counting.calls
    return calls


def test_many_such_requests_cost_a_batch_one_call_more() -> None:
    """Halved between requests, five among fifty would be some thirty calls."""
    played = watched(limited(10), X)
    calls = counted(played)
    requests = [played.read({"x": 5 if at % 10 == 3 else 15}, {"x": 15}) for at in range(50)]
    given = played.answered(*requests)
    assert calls == {"m@2": [90], "m@1": [10]}
    assert [at for at, unit in enumerate(given.units) if unit and unit.id == "m@1"] == [
        row for at in range(3, 50, 10) for row in (2 * at, 2 * at + 1)
    ]
    assert [each.n for each in given.failures] == [10]


def test_a_request_that_a_shadow_does_not_take_costs_those_beside_it_no_answer() -> None:
    async def told(played: Played) -> list[Any]:
        table = RoutingTable(revision=1, written_at=datetime(2026, 1, 5, tzinfo=UTC), routes=(played.live.route,))
        live = LiveTable(table, {"m": played.live}, [], {})
        batches = [played.batch(*rows) for rows in asked]
        answered = [(batch, played.answering.at_once(played.live, batch)) for batch in batches]
        calls = ShadowCalls(
            Answering(Metrics(NoCapture()), lambda: True, lambda: 0.0), Metrics(NoCapture()), lambda: [played.live]
        )
        return await calls.records(live, played.live, answered, at_once=True)

    old, new = served(1, X), served(2, limited(10))
    played = Played(old, new, route=Route(model="m", champion=old, shadows=(new,)))
    fine, beyond = played.read({"x": 15}), played.read({"x": 5}, {"x": 15})
    asked = [[fine, beyond, fine], [fine], [beyond]]
    records = played_on_loop(told, played)
    assert [(each.unit, each.role, each.n) for each in records if isinstance(each, FailureBatch)] == [("m@2", "shadow", 2)] * 2
    assert sum(len(each.ids) for each in records if isinstance(each, PredictionBatch)) == 3


def played_on_loop(told: Any, played: Played) -> list[Any]:
    found: list[Any] = asyncio.run(told(played))
    return found


def test_a_route_without_narrower_units_looks_at_no_value() -> None:
    same: ServedUnit = served(2, limited(0))
    played = Played(same, served(1, limited(0)), route=Route(model="m", champion=same, fallback=served(1, limited(0))))
    assert played.live.borders == {"m@2": (), "m@1": ()}
    assert watched(X, limited(0)).live.borders["m@2"] == ()
