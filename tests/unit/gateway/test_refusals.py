"""Claims about what is counted of refused requests: which, of what, how many; never a value, never a name that a client made up."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from silent_counters import Kept

from flyball.errors import DeadlinePassed, FlyballError, HttpRefused, ModelFailed, NotFound, Overloaded, RequestError
from flyball.gateway.refusals import MOST_FAULTS, Refusals
from flyball.gateway.tensors.reader import Identity, Tensor, TensorReader
from flyball.gateway.validation import RowReader
from flyball.records.captured import RefusalBatch, Refused
from flyball.records.keeping import Keeping
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=150),
        Column(name="town", type=ColumnType.CATEGORY),
        Column(name="member", type=ColumnType.BOOLEAN, missing=True),
        Column(name="a.b", type=ColumnType.INTEGER, missing=True),
        Column(name="day", type=ColumnType.INTEGER, missing=True, minimum=20_240_101, maximum=20_261_231),
    ),
    classes=("no", "yes"),
)
GOOD = {"age": 4, "town": "Oslo"}


class World:
    def __init__(self, keeping: Keeping | None = None, stopped: str = "") -> None:
        self.capture, self.now_us = Kept(), 7
        self.reader, self.tensors = RowReader(SIGNATURE, 100), TensorReader(SIGNATURE, 4, 100)
        route = SimpleNamespace(reader=self.reader, route=SimpleNamespace(keeping=keeping, stopped=stopped))
        table = SimpleNamespace(routes={"m": route}, absent={"gone"}, revision=3)
        self.refusals = Refusals(self.capture, lambda: table, lambda: self.now_us)  # type: ignore[arg-type, return-value]

    def send(self, *rows: Any) -> None:
        self.read(msgspec.json.encode({"rows": list(rows)}))

    def read(self, body: bytes) -> None:
        with pytest.raises(RequestError) as caught:
            self.reader.read(body)
        self.refusals.count("m", caught.value)

    def told(self) -> list[Refused]:
        self.refusals.hand_over()
        [batch] = self.capture.taken
        assert isinstance(batch, RefusalBatch)
        self.capture.taken = []
        return batch.refused


@pytest.mark.parametrize(
    ("row", "field", "fault", "found", "expected"),
    [
        (GOOD | {"age": "4"}, "age", "type", "text", "a number"),
        (GOOD | {"age": True}, "age", "type", "true or false", "a number"),
        (GOOD | {"age": [4]}, "age", "type", "a list", "a number"),
        (GOOD | {"age": {}}, "age", "type", "an object", "a number"),
        (GOOD | {"age": 151.5}, "age", "value", "", ""),
        (GOOD | {"age": -1e300}, "age", "value", "", ""),
        (GOOD | {"age": None}, "age", "missing", "", ""),
        ({"town": "Oslo"}, "age", "missing", "", ""),
        ({"town": "Oslo", "years": 4}, "age", "missing", "", ""),
        (GOOD | {"town": 7}, "town", "type", "a number", "text"),
        (GOOD | {"member": "yes"}, "member", "type", "text", "true or false"),
        (GOOD | {"member": 1}, "member", "type", "a number", "true or false"),
        (GOOD | {"a.b": "1"}, "a.b", "type", "text", "a number"),
        (GOOD | {"a.b": 1.5}, "a.b", "value", "", ""),
        (GOOD | {"day": 20_270_101}, "day", "value", "", ""),
        (GOOD | {"jo@example.org": 4}, "", "unknown", "", ""),
        ("jo@example.org", "", "form", "", ""),
    ],
)
def test_the_first_fault_is_told_by_its_column_and_by_the_types_alone(
    row: Any, field: str, fault: str, found: str, expected: str
) -> None:
    world = World()
    world.send(GOOD, row, GOOD)
    assert world.told() == [Refused("RequestError", 422, 1, 3, field, fault, found, expected)]


def test_a_body_that_is_no_json_is_a_fault_of_form_and_one_row() -> None:
    world = World()
    world.read(b'{"rows": [{"age": jo@example.org')
    world.read(b'{"rows": []}')
    assert world.told() == [Refused("RequestError", 422, 2, 2, "", "form")]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_json_does_not_have_is_a_value_of_its_column(value: bytes) -> None:
    world = World()
    world.read(b'{"rows": [{"town": "Oslo", "age": %s}]}' % value)
    assert world.told() == [Refused("RequestError", 422, 1, 1, "age", "value")]


def test_a_column_that_comes_twice_in_a_row_is_a_fault_of_form() -> None:
    world = World()
    world.read(b'{"rows": [{"age": 4, "town": "Oslo", "age": 5}]}')
    assert world.told() == [Refused("RequestError", 422, 1, 1, "", "form")]


@pytest.mark.parametrize("ids", [["a"], ["a", "a"], ["a", 7]])
def test_rows_of_wrong_ids_are_counted(ids: list[Any]) -> None:
    world = World()
    world.read(msgspec.json.encode({"rows": [GOOD, GOOD], "ids": ids}))
    assert world.told() == [Refused("RequestError", 422, 1, 2, "", "form")]


def test_a_model_that_a_person_stopped_fails_nobody() -> None:
    world = World(stopped="Stopped by jo: it is wrong")
    world.refusals.count("m", HttpRefused(503, "Stopped by jo: it is wrong"))
    assert world.refusals.hand_over() is None
    assert world.capture.taken == []
    world.refusals.count("m", Overloaded(503, "x"))
    assert [each.status for each in world.told()] == [503]


@pytest.mark.parametrize(
    ("datatype", "found"),
    [("BYTES", "text"), ("BOOL", "true or false"), ("jo@example.org", "another type")],
)
def test_a_tensor_of_another_datatype_is_a_type_of_its_column(datatype: str, found: str) -> None:
    world = World()
    tensors = [Tensor("town", "BYTES", [5], [b"Oslo"] * 5), Tensor("age", datatype, [5], [b"4"] * 5)]
    with pytest.raises(RequestError) as caught:
        world.tensors.rows(tensors, Identity())
    world.refusals.count("m", caught.value)
    assert world.told() == [Refused("RequestError", 422, 1, 5, "age", "type", found, "a number")]


def test_a_tensor_that_is_no_column_and_one_that_is_wanting_are_told_apart() -> None:
    world = World()
    for name in ("jo@example.org", "town"):
        with pytest.raises(RequestError) as caught:
            world.tensors.rows([Tensor(name, "BYTES", [2], [b"x", b"y"])], Identity())
        world.refusals.count("m", caught.value)
    assert [(each.field, each.fault, each.rows) for each in world.told()] == [("", "unknown", 2), ("age", "missing", 2)]


def test_of_a_column_that_capture_drops_or_hashes_not_even_the_type_is_kept() -> None:
    for keeping in (Keeping(drop=("age",)), Keeping(hash=("age",))):
        world = World(keeping)
        for value in ("4", 900, None):
            world.send(GOOD | {"age": value})
        world.send(GOOD | {"town": 7})
        assert world.told() == [
            Refused("RequestError", 422, 3, 3, "age"), Refused("RequestError", 422, 1, 1, "town", "type", "a number", "text"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "reason", "status", "fault"),
    [
        (Overloaded(429, "x"), "Overloaded", 429, ""),
        (Overloaded(503, "x"), "Overloaded", 503, ""),
        (DeadlinePassed("x"), "DeadlinePassed", 504, ""),
        (HttpRefused(503, "stopped"), "HttpRefused", 503, ""),
        (HttpRefused(415, "x"), "HttpRefused", 415, "form"),
        (ValueError("jo@example.org"), "Unforeseen", 500, ""),
    ],
)
def test_other_errors_are_told_by_class_and_status(error: Exception, reason: str, status: int, fault: str) -> None:
    world = World()
    world.refusals.count("m", error)
    [told] = world.told()
    assert told == Refused(reason, status, 1, 1, fault=fault)
    assert told.by_gateway == (status != 415)


@pytest.mark.parametrize(
    "error", [ModelFailed("x"), DeadlinePassed("x", asked=True), NotFound("x"), HttpRefused(401, "x"), HttpRefused(404, "x")]
)
def test_what_a_unit_failed_at_and_what_asks_no_model_is_not_counted(error: FlyballError) -> None:
    world = World()
    world.refusals.count("m", error)
    world.refusals.hand_over()
    assert world.capture.taken == []


def test_models_are_those_of_the_table_whatever_clients_call_them() -> None:
    world = World()
    for name in ("", "jo@example.org", "gone"):
        world.refusals.count(name, Overloaded(429, "x"))
    world.refusals.hand_over()
    assert [each.model for each in world.capture.taken] == ["gone"]


def test_one_record_a_model_holds_all_since_the_last_one_and_says_since_when() -> None:
    world = World()
    for at in (7, 8):
        world.now_us = at
        world.refusals.unread("m")
        world.refusals.count("m", Overloaded(429, "x"))
        world.refusals.count("gone", HttpRefused(503, "x"))
    world.refusals.hand_over()
    assert [(each.at_us, each.model, each.refused) for each in world.capture.taken] == [
        (7, "m", [Refused("Overloaded", 429, 4, 4)]), (7, "gone", [Refused("HttpRefused", 503, 2, 2)]),
    ]  # fmt: skip
    world.refusals.hand_over()
    assert len(world.capture.taken) == 2


def test_different_faults_are_bounded_and_none_is_uncounted() -> None:
    world = World()
    wide = msgspec.structs.replace(
        SIGNATURE, columns=tuple(Column(name=f"c{at}", type=ColumnType.NUMBER, missing=True) for at in range(3 * MOST_FAULTS))
    )
    world.reader.__init__(wide, 100)  # type: ignore[misc]
    for at in range(3 * MOST_FAULTS):
        world.send({f"c{at}": "x"})
    world.refusals.unread("m")
    told = world.told()
    assert len(told) == MOST_FAULTS + 2
    assert sum(each.requests for each in told) == 3 * MOST_FAULTS + 1
    assert [(each.fault, each.requests) for each in told[-2:]] == [("others", 2 * MOST_FAULTS), ("others", 1)]
    assert {each.status for each in told} == {422, 429}
