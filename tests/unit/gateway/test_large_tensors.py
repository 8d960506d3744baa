"""A large request in JSON tensors is read piece by piece and answered slice by slice: as the whole of it would be, whatever stands in it."""

import asyncio
import json
import threading
import tracemalloc
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.errors import RequestError
from flyball.gateway.batches import Answer
from flyball.gateway.openinference import asking, reading, rest
from flyball.gateway.openinference.asking import InferRequest
from flyball.gateway.openinference.rest import read_infer, read_large
from flyball.gateway.openinference.wording import Wording, infer_response
from flyball.gateway.tensors.reader import TensorReader
from flyball.gateway.validation import RowReader, Rows
from flyball.records.signature import Column, ColumnType, Signature, Unknown

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=5000),
        Column(name="income", type=ColumnType.NUMBER, missing=True),
        Column(name="visits", type=ColumnType.INTEGER),
        Column(name="member", type=ColumnType.BOOLEAN),
        Column(name="town", type=ColumnType.CATEGORY, missing=True, categories=("Oslo",), unknown=Unknown.FLAG),
    ),
    classes=("no", "yes"),
)
NUMERIC = msgspec.structs.replace(SIGNATURE, columns=SIGNATURE.columns[:3])
N = 1000


def live(signature=SIGNATURE):
    tensors = TensorReader(signature, len(signature.columns), N)
    return SimpleNamespace(model="shop", signature=signature, tensors=tensors, reader=RowReader(signature, N))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(reading, "PIECE_BYTES", 200)
    monkeypatch.setattr(reading, "LOOK_BYTES", 300)


class Turns:
    """How often others had theirs."""

    def __init__(self):
        self.count = 0

    async def __call__(self):
        self.count += 1
        await asyncio.sleep(0)


def said(call):
    try:
        request = call()
    except RequestError as refused:
        return [(fault.path, fault.found, fault.expected) for fault in refused.faults]
    rows = request.rows
    columns = {
        name: (values.dtype, values.shape, [repr(each) for each in values[:, 0].tolist()])
        for name, values in rows.columns.items()
    }
    return request.id, dict(request.outputs), rows.n, rows.ids, rows.keys, columns


def of_whole(body, signature=SIGNATURE):
    return said(lambda: read_infer(live(signature), body, None))


def in_pieces(body, signature=SIGNATURE):
    """(what it says, whether it was read in pieces)"""
    given, turns = bytearray(body), Turns()
    told = said(lambda: asyncio.run(read_large(live(signature), given, None, turns)))
    assert given in (body, b""), "the body is as it came, or empty"
    return told, turns.count > 10 and (not given)


def tensor(name, datatype, data, **more):
    return {"name": name, "shape": [N], "datatype": datatype, **more, "data": data}


def inputs(**changes):
    """`column=values`, or `column=(datatype, values)`."""
    columns = {
        "age": ("FP32", [number / 2 for number in range(N)]),
        "income": ("FP64", [None if number % 7 == 0 else number * 1.25 for number in range(N)]),
        "visits": ("INT64", [number * 3 for number in range(N)]),
        "member": ("BOOL", [number % 3 == 0 for number in range(N)]),
        "town": ("BYTES", [None if number % 5 == 0 else f"town {number % 40}" for number in range(N)]),
    }
    for name, change in changes.items():
        columns[name] = change if isinstance(change, tuple) else (columns[name][0], change)
    return [tensor(name, datatype, data) for name, (datatype, data) in columns.items()]


def at(place, value, values):
    return [*values[:place], value, *values[place + 1 :]]


AGES = [float(number) for number in range(N)]
KEYS = [f"k{number}" for number in range(N)]
GOOD = {
    "compact": json.dumps({"inputs": inputs()}, separators=(",", ":")),
    "spaced": json.dumps({"inputs": inputs()}),
    "indented": json.dumps({"inputs": inputs()}, indent=2),
    "names sorted, so that values come first": json.dumps({"inputs": inputs()}, sort_keys=True),
    "with all that may stand beside": json.dumps(
        {"id": "7", "inputs": inputs(), "outputs": [{"name": "scores"}], "parameters": {"keys": KEYS, "prediction_ids": KEYS}}
    ),
    "parameters first": json.dumps({"parameters": {"keys": KEYS}, "model_name": "shop", "inputs": inputs()}),
    "parameters of a tensor": json.dumps({"inputs": [tensor("age", "FP32", AGES, parameters={"a": {"b": 1}}), *inputs()[1:]]}),
    "whole numbers": json.dumps({"inputs": inputs(age=[*range(N)])}),
    "numbers of both kinds": json.dumps({"inputs": inputs(age=[number if number % 2 else number / 4 for number in range(N)])}),
    "large whole numbers": json.dumps({"inputs": inputs(visits=[2**53 + number for number in range(N)])}),
    "missing first": json.dumps({"inputs": inputs(income=[None] * 700 + AGES[700:], town=[None] * 100 + ["a"] * (N - 100))}),
    "all missing": json.dumps({"inputs": inputs(income=[None] * N, town=[None] * N)}),
    "zero and one for a boolean": json.dumps({"inputs": inputs(member=("FP32", [number % 2 for number in range(N)]))}),
    "lists of one": json.dumps({"inputs": inputs(age=[[each] for each in AGES], town=[[f"a{n}"] for n in range(N)])}),
    "commas, brackets and names in texts": json.dumps({"inputs": inputs(town=['a, b], "data":[ {x}, null, c'] * N)}),
    "different texts": json.dumps({"inputs": inputs(town=[f"place {number}" for number in range(N)])}),
    "characters beyond ASCII": json.dumps({"inputs": inputs(town=["Tromsø", "京都"] * (N // 2))}, ensure_ascii=False),
    "escaped ones": json.dumps({"inputs": inputs(town=["Tromsø", "\ud83d\ude00, a"] * (N // 2))}),
}
BAD = {
    "a word": json.dumps({"inputs": inputs(age=at(999, "old", AGES))}),
    "true as 1": json.dumps({"inputs": inputs(age=at(500, True, AGES))}),
    "null where nothing may be missing": json.dumps({"inputs": inputs(age=at(500, None, AGES))}),
    "an object": json.dumps({"inputs": inputs(age=at(500, {"a": 1}, AGES))}),
    "beyond its limit": json.dumps({"inputs": inputs(age=at(500, 5001, AGES))}),
    "NaN": json.dumps({"inputs": inputs(age=at(500, float("nan"), AGES))}),
    "NaN in a list of one": json.dumps({"inputs": inputs(age=[[each] for each in at(500, float("nan"), AGES)])}),
    "1e400": json.dumps({"inputs": inputs(age=at(500, 12345.5, AGES))}).replace("12345.5", "1e400"),
    "a NUL": json.dumps({"inputs": inputs(town=at(500, "a\0b", ["a"] * N))}),
    "half a whole": json.dumps({"inputs": inputs(visits=at(500, 1.5, [*range(N)]))}),
    "wrong in many places": json.dumps({"inputs": inputs(age=["x"] * N, visits=["y"] * N)}),
    "two columns wrong": json.dumps({"inputs": inputs(age=at(990, "x", AGES), income=at(3, "y", AGES))}),
    "one value more": json.dumps({"inputs": inputs(age=[*AGES, 1.0])}),
    "one value less": json.dumps({"inputs": inputs(age=AGES[1:])}),
    "no value": json.dumps({"inputs": inputs(age=[])}),
    "another datatype": json.dumps({"inputs": inputs(age=("BYTES", AGES))}),
    "a datatype of nobody": json.dumps({"inputs": inputs(age=("FP128", AGES))}),
    "another shape": json.dumps({"inputs": [{**tensor("age", "FP32", AGES), "shape": [10, 100]}, *inputs()[1:]]}),
    "no shape": json.dumps({"inputs": [{**tensor("age", "FP32", AGES), "shape": []}, *inputs()[1:]]}),
    "a shape beyond all bounds": json.dumps({"inputs": [{**tensor("age", "FP32", AGES), "shape": [10**15]}, *inputs()[1:]]}),
    "a negative shape": json.dumps({"inputs": [{**tensor("age", "FP32", AGES), "shape": [-1]}, *inputs()[1:]]}),
    "a column twice": json.dumps({"inputs": [*inputs(), inputs()[0]]}),
    "a column of nobody": json.dumps({"inputs": [*inputs(), tensor("height", "FP32", AGES)]}),
    "a column too few": json.dumps({"inputs": inputs()[1:]}),
    "values and binary ones": json.dumps({"inputs": [tensor("age", "FP32", AGES, parameters={"binary_data_size": 4}), *inputs()[1:]]}),
    "an output of nobody": json.dumps({"inputs": inputs(), "outputs": [{"name": "price"}]}),
    "keys for some": json.dumps({"inputs": inputs(), "parameters": {"keys": KEYS[1:]}}),
    "another model": json.dumps({"inputs": inputs(), "model_name": "other"}),
}  # fmt: skip
ODD = {
    "a list": json.dumps({"inputs": inputs(age=at(500, [1, 2], AGES))}),
    "texts that look like a missing one": json.dumps({"inputs": inputs(town=["a null, ", "b"] * (N // 2))}),
    "inputs twice": json.dumps({"inputs": inputs()})[:-1] + ',"inputs":[]}',
    "an id on both sides": json.dumps({"id": "1", "inputs": inputs()})[:-1] + ',"id":"2"}',
    "data twice": json.dumps({"inputs": inputs()}).replace('"data": [0.0', '"data": [1], "data": [0.0', 1),
    "data twice, and nothing behind": json.dumps({"inputs": inputs()}).replace("499.5]", '499.5], "data": []', 1),
    "data twice, written in another way": json.dumps({"inputs": inputs()}).replace("499.5]", '499.5], "d\\u0061ta": [1]', 1),
    "data of a parameter": json.dumps({"inputs": [tensor("age", "FP32", AGES, parameters={"data": [1]}), *inputs()[1:]]}),
    "an unknown field": json.dumps({"inputs": inputs(), "more": 1}),
    "cut off": json.dumps({"inputs": inputs()})[:-3000],
    "followed by more": json.dumps({"inputs": inputs()}) + "{}",
    "two commas": json.dumps({"inputs": inputs()}).replace("250.0, ", "250.0,, ", 1),
    "a comma at the end": json.dumps({"inputs": inputs()}).replace("499.5]", "499.5, ]", 1),
    "a comma at the beginning": json.dumps({"inputs": inputs()}).replace("[0.0", "[, 0.0", 1),
    "a bracket too few": json.dumps({"inputs": inputs()}).replace("499.5]", "499.5", 1),
    "a zero before a number": json.dumps({"inputs": inputs()}).replace("250.0", "0250.0", 1),
    "half a character": json.dumps({"inputs": inputs(town=["\ud800"] * N)}),
    "no inputs": json.dumps({"rows": [1] * N}),
    "texts that end a list": json.dumps({"inputs": inputs(town=['"], x'] * N)}),
    "texts that begin with a comma": json.dumps({"inputs": inputs(town=[', "b', "a"] * (N // 2))}),
    "texts that end with a backslash": json.dumps({"inputs": inputs(town=["a\\", "b"] * (N // 2))}),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_ordinary_body_is_read_in_pieces_as_the_whole_of_it(name):
    body = GOOD[name].encode()
    whole = of_whole(body)
    assert isinstance(whole, tuple), whole
    assert in_pieces(body) == (whole, True)


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_told_from_pieces_as_from_the_whole(name):
    body = BAD[name].encode()
    whole = of_whole(body)
    assert isinstance(whole, list)
    assert in_pieces(body) == (whole, True)


@pytest.mark.parametrize("name", ODD)
def test_what_is_unusual_means_the_same_either_way(name):
    body = ODD[name].encode()
    assert in_pieces(body)[0] == of_whole(body)


@pytest.mark.parametrize("name", ["cut off", "an unknown field", "inputs twice"])
def test_what_is_unusual_is_read_beside_the_loop(name, monkeypatch):
    threads = []

    def whole(*arguments):
        threads.append(threading.current_thread())
        return read_infer(*arguments)

    monkeypatch.setattr(rest, "read_infer", whole)
    in_pieces(ODD[name].encode())
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e400"])
def test_a_number_that_json_does_not_have_is_told_with_its_row(text):
    body = json.dumps({"inputs": inputs(age=at(500, 12345.5, AGES))}).replace("12345.5", text).encode()
    for told in (of_whole(body), in_pieces(body)[0]):
        assert told == [("rows[500].age", text, "a number from 0 to 5000")]


def test_bytes_that_are_no_text_are_refused_either_way():
    body = GOOD["compact"].encode().replace(b"town 7", b"to\xffn 7", 1)
    assert in_pieces(body)[0] == of_whole(body)
    assert isinstance(of_whole(body), list)


def matrix(rows, **more):
    return json.dumps({"inputs": [{"name": "x", "shape": [N, 3], "datatype": "FP64", "data": rows, **more}]}).encode()


TABLE = [[number / 4, None if number % 9 == 0 else 7.5, number] for number in range(N)]
FLAT = [value for row in TABLE for value in row]


@pytest.mark.parametrize(
    "rows", [TABLE, FLAT, TABLE[1:], FLAT[1:], [*FLAT, 1], [*TABLE[:-1], [1, 2]], [*TABLE[:-1], 1], at(600, "x", FLAT)]
)
def test_one_tensor_of_all_columns_is_read_in_pieces_as_the_whole_of_it(rows):
    body = matrix(rows)
    assert in_pieces(body, NUMERIC)[0] == of_whole(body, NUMERIC)


def test_rows_that_pieces_divide_are_put_together_again():
    for rows in (TABLE, FLAT):
        told, pieces = in_pieces(matrix(rows), NUMERIC)
        assert pieces
        assert told[2] == N


UNITS = [
    SimpleNamespace(id=f"u{number}", threshold=0.5, served=SimpleNamespace(unit=SimpleNamespace(version=number + 3))) for number in (0, 1)
]  # fmt: skip


def answered(*, units, flagged=True, binary=False):
    """(the request, its answer)"""
    draw = np.random.default_rng(4)
    town = np.array(["Oslo", "Rome" if flagged else "Oslo"] * (N // 2), dtype=object).reshape(N, 1)
    columns = {column.name: np.zeros((N, 1), dtype=np.float32) for column in SIGNATURE.columns[:4]} | {"town": town}
    request = InferRequest(Rows(N, columns, None, None), "é7" if flagged else None, {"label": binary, "scores": not binary})
    return request, Answer(
        KEYS, [[each] for each in draw.random(N).tolist()], [units[number % len(units)] for number in range(N)]
    )


@pytest.mark.parametrize(
    "sample", [answered(units=UNITS), answered(units=UNITS[:1], flagged=False), answered(units=UNITS, binary=True)]
)
def test_an_answer_worded_slice_by_slice_is_that_of_the_whole_byte_for_byte(sample):
    request, answer = sample
    wording = Wording(live(), request)
    for start in range(0, N, 64):
        wording.add(Answer(*(listed[start : start + 64] for listed in answer)))
    told = wording.response([(b"a", b"b")])
    assert isinstance(told.body, list)
    assert told._replace(body=b"".join(told.body)) == infer_response(live(), request, answer, [(b"a", b"b")])
    assert wording.units == list(dict.fromkeys(unit.id for unit in answer.units))
    assert wording.first_id == KEYS[0]


EMPTY = '{"name":"town","datatype":"BYTES","shape":[1000],"data":[]}'
WIDE = '{"name":"x","datatype":"FP32","shape":[1000,3],"data":[]}'
SAID_TO_BE_MUCH = {
    "one column again and again": (SIGNATURE, [EMPTY] * 400),
    "one tensor of all columns again and again": (NUMERIC, [WIDE] * 400),
    "each column once": (
        msgspec.structs.replace(SIGNATURE, columns=tuple(Column(name=f"c{n}", type=ColumnType.CATEGORY) for n in range(400))),
        [EMPTY.replace("town", f"c{n}") for n in range(400)],
    ),
}


@pytest.mark.parametrize("name", SAID_TO_BE_MUCH)
def test_memory_is_for_the_values_that_come_and_not_for_those_that_a_shape_promises(name):
    """A thousand rows in each of four hundred tensors would be 3.2 MB."""
    signature, listed = SAID_TO_BE_MUCH[name]
    body, turns, route = bytearray(f'{{"inputs":[{",".join(listed)}]}}'.encode()), Turns(), live(signature)
    tracemalloc.start()
    try:
        with pytest.raises(RequestError):
            asyncio.run(read_large(route, body, None, turns))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_500_000
    assert turns.count >= len(listed), "others had a turn after each of them"


def test_more_inputs_than_there_may_be_are_refused_before_the_last_of_them_is_read(monkeypatch):
    monkeypatch.setattr(asking, "MAX_INPUTS", 5)
    body = json.dumps({"inputs": [tensor(f"c{number}", "FP32", []) for number in range(50)]}).encode()
    turns = Turns()
    told = said(lambda: asyncio.run(read_large(live(), bytearray(body), None, turns)))
    assert told == of_whole(body) == [("inputs", "more than 5 inputs", "at most 5")]
    assert turns.count < 10


SHORT = [
    json.dumps({"id": "a", "inputs": [{**each, "shape": [40], "data": each["data"][:40]} for each in inputs(age=AGES)]}, **how).encode()
    for how in ({}, {"sort_keys": True})
]  # fmt: skip
BROKEN_BY = b'",[]{}:\\ n0x-.e"'


@given(
    st.sampled_from(SHORT),
    st.lists(st.tuples(st.floats(0, 0.999), st.sampled_from(BROKEN_BY), st.booleans()), min_size=1, max_size=3),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_broken_in_a_body_pieces_mean_what_the_whole_means(body, changes):
    broken = bytearray(body)
    for place, byte, instead in changes:
        where = int(place * len(broken))
        broken[where : where + instead] = bytes([byte])
    assert in_pieces(bytes(broken))[0] == of_whole(bytes(broken))
