"""Claims about tensors: JSON, bytes and one matrix are three spellings of the same rows, and every fault has its place."""

import json
import math
import struct
from functools import partial
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.errors import RequestError
from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.openinference.forms import form_faults
from flyball.gateway.openinference.rest import read_infer
from flyball.gateway.tensors.columns import ColumnCheck
from flyball.gateway.tensors.datatypes import LAYOUT
from flyball.gateway.tensors.pieced import PiecedColumn
from flyball.gateway.tensors.reader import TensorReader
from flyball.gateway.validation import RowReader, as_array
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0.1, maximum=150),
        Column(name="income", type=ColumnType.NUMBER, missing=True),
        Column(name="visits", type=ColumnType.INTEGER, maximum=10),
        Column(name="member", type=ColumnType.BOOLEAN),
        Column(name="town", type=ColumnType.CATEGORY, missing=True),
    ),
    classes=("no", "yes"),
)
NUMERIC = msgspec.structs.replace(SIGNATURE, columns=SIGNATURE.columns[:4])
MAX_ROWS = 1000


def live(signature=SIGNATURE, own=None):
    tensors = TensorReader(signature, len(signature.columns) if own is None else own, MAX_ROWS)
    return SimpleNamespace(model="shop", signature=signature, tensors=tensors)


def strings(texts):
    return b"".join(struct.pack("<I", len(raw)) + raw for raw in texts)


def packed(datatype, values):
    """Values as the protocol's bytes, by another way than the one that is tested."""
    if datatype == "BYTES":
        return strings(value.encode() for value in values)
    if datatype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    code = {"BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
            "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d"}[datatype]  # fmt: skip
    return struct.pack(f"<{len(values)}{code}", *values)


def body(*tensors, **more):
    """(body, header) of tensors (name, datatype, values), all of them bytes."""
    tails = [packed(datatype, values) for _, datatype, values in tensors]
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(values)], "parameters": {"binary_data_size": len(tail)}}
        for (name, datatype, values), tail in zip(tensors, tails, strict=True)
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + b"".join(tails), str(len(head)).encode()


def read(*tensors, signature=SIGNATURE, **more):
    return read_infer(live(signature), *body(*tensors, **more))


def fault_of(call, *arguments):
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return caught.value.faults[0]


def good(n=3, **changes):
    columns = {
        "age": ("FP32", [41.5] * n), "income": ("FP64", [1000.0] * n), "visits": ("INT64", [3] * n), "member": ("BOOL", [True] * n),
        "town": ("BYTES", ["Oslo"] * n),
    } | changes  # fmt: skip
    return [(name, *each) for name, each in columns.items() if each is not None]


def same(ours, theirs):
    assert sorted(ours) == sorted(theirs)
    for name, values in ours.items():
        assert values.dtype == theirs[name].dtype
        assert values.shape == theirs[name].shape
        if values.dtype == object:
            assert values.tolist() == theirs[name].tolist()
        else:
            np.testing.assert_array_equal(values, theirs[name])


numbers = st.floats(0.125, 150, width=32)
rows = st.lists(
    st.tuples(
        numbers,
        st.none() | st.floats(-(2.0**99), 2.0**99, width=32),
        st.integers(-1000, 10),
        st.booleans(),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    ),
    min_size=1,
    max_size=60,
)


@given(rows)
@settings(max_examples=150, deadline=None)
def test_plain_rows_json_tensors_and_bytes_become_the_same_columns(drawn):
    names = [column.name for column in SIGNATURE.columns]
    age, income, visits, member, town = (list(each) for each in zip(*drawn, strict=True))
    plain = RowReader(SIGNATURE, MAX_ROWS).read(
        json.dumps({"rows": [dict(zip(names, row, strict=True)) for row in drawn]}).encode()
    )
    columns = {
        "age": ("FP32", age),
        "income": ("FP32", income),
        "visits": ("INT32", visits),
        "member": ("BOOL", member),
        "town": ("BYTES", town),
    }
    inputs = [{"name": k, "datatype": d, "shape": [len(v), 1], "data": v} for k, (d, v) in columns.items()]
    as_json = read_infer(live(), json.dumps({"inputs": inputs}).encode(), None)
    columns["income"] = "FP64", [np.nan if value is None else value for value in income]
    as_bytes = read(*[(name, *each) for name, each in columns.items()])
    expected = ColumnBuilder(SIGNATURE).of_rows(plain).columns
    same(as_json.rows.columns, expected)
    same(as_bytes.rows.columns, expected)


@given(
    st.lists(
        st.tuples(
            numbers, st.floats(-(2.0**99), 2.0**99, width=32) | st.just(float("nan")), st.integers(-100, 10), st.booleans()
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=100, deadline=None)
def test_one_matrix_is_the_columns_in_the_order_of_the_signature(drawn):
    names = [column.name for column in NUMERIC.columns]
    flat = [float(value) for row in drawn for value in row]
    by_column = read(*[(name, "FP64", [float(row[at]) for row in drawn]) for at, name in enumerate(names)], signature=NUMERIC)
    tail = packed("FP64", flat)
    tensor = {"name": "input-0", "datatype": "FP64", "shape": [len(drawn), 4]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(tail)}}]}).encode()
    as_bytes = read_infer(live(NUMERIC), head + tail, str(len(head)).encode())
    same(as_bytes.rows.columns, by_column.rows.columns)
    nested = [[None if value != value else float(value) for value in row] for row in drawn]  # noqa: PLR0124
    for data in (nested, [value for row in nested for value in row]):
        as_json = read_infer(live(NUMERIC), json.dumps({"inputs": [{**tensor, "data": data}]}).encode(), None)
        same(as_json.rows.columns, by_column.rows.columns)


@pytest.mark.parametrize("n", [1, 7])
def test_columns_that_are_left_out_are_missing_in_every_row_and_take_memory_once(n):
    columns = [Column(name=f"{kind}{at}", type=kind, missing=True) for at in range(3) for kind in ColumnType]
    signature = msgspec.structs.replace(SIGNATURE, columns=(SIGNATURE.columns[0], *columns))
    found = read(("age", "FP32", [1.0] * n), signature=signature).rows.columns
    for column in columns:
        expected = as_array(column, [None] * n, n)
        values = found[column.name]
        assert (values.dtype, values.shape) == (expected.dtype, expected.shape)
        assert [repr(each) for each in values[:, 0].tolist()] == [repr(each) for each in expected[:, 0].tolist()]
        assert not values.flags.writeable
    assert len({id(found[column.name]) for column in columns}) == 2


def test_a_matrix_is_refused_where_its_meaning_would_be_a_guess():
    def matrix(signature, width, data, name="x", own=None, datatype="FP64"):
        tensor = {"name": name, "datatype": datatype, "shape": [1, width], "data": data}
        return fault_of(read_infer, live(signature, own), json.dumps({"inputs": [tensor]}).encode(), None)

    assert matrix(SIGNATURE, 5, [1, 2, 3, 1, 5]).path == "inputs[0].name"  # a category among the columns
    assert matrix(NUMERIC, 3, [1, 2, 3]).path == "inputs[0].name"
    one = msgspec.structs.replace(NUMERIC, columns=NUMERIC.columns[:1])
    assert matrix(one, 1, [1]).path == "inputs[0].name"  # one column under another name is a mistake
    assert matrix(NUMERIC, 4, [[1, 2, 3]]).path == "inputs[0].data"
    assert matrix(NUMERIC, 4, [1, 2, 3]).path == "inputs[0].shape"
    assert matrix(NUMERIC, 4, [1, 2, 3, 7]).path == "rows[0].member"
    assert matrix(NUMERIC, 4, [1, 2, 3, 1], datatype="BOOL").path == "inputs[0].datatype"


def test_a_matrix_needs_only_the_champions_columns():
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    signature = msgspec.structs.replace(
        SIGNATURE, columns=tuple(msgspec.structs.replace(c, missing=True) for c in SIGNATURE.columns)
    )
    taken = read_infer(live(signature, own=2), json.dumps({"inputs": [tensor]}).encode(), None).rows
    assert (taken.columns["income"][0, 0], taken.columns["town"][0, 0]) == (2.0, "")


@pytest.mark.parametrize("datatype", sorted(set(LAYOUT) - {"BOOL"}))
def test_every_numeric_datatype_is_read_wherever_it_begins(datatype):
    for shift in (1, 2, 3, 4):  # the JSON's length decides over alignment
        taken = read(*good(3, town=("BYTES", ["x" * shift] * 3), age=(datatype, [1, 2, 3])), id="i" * shift).rows
        assert taken.columns["age"].tolist() == [[1.0], [2.0], [3.0]]
        assert taken.columns["age"].dtype == np.float32
        assert taken.columns["age"].flags.aligned


@pytest.mark.parametrize(
    ("column", "datatype", "value", "found"),
    [
        ("age", "FP32", float("nan"), "NaN"),
        ("age", "FP64", float("inf"), "an infinity"),
        ("age", "FP32", 0.0, "0.0"),
        ("age", "FP64", 150.00001, "150.00001"),
        ("age", "UINT8", 151, "151"),
        ("age", "INT64", -(2**63), str(-(2**63))),
        ("age", "UINT64", 2**64 - 1, str(2**64 - 1)),
        ("income", "FP64", 1e300, "1e+300"),
        ("income", "FP64", float("-inf"), "an infinity"),
        ("income", "FP16", float("inf"), "an infinity"),
        ("visits", "FP32", 1.5, "1.5"),
        ("visits", "FP64", float("nan"), "NaN"),
        ("visits", "INT8", 11, "11"),
        ("member", "FP32", 0.5, "0.5"),
        ("member", "FP32", float("nan"), "NaN"),
        ("town", "BYTES", "Os\0lo", '"Os\\u0000lo"'),
    ],
)
@pytest.mark.parametrize("beside", [0, 40])
def test_a_wrong_value_among_bytes_is_named_with_row_and_column(column, datatype, value, found, beside):
    fine = {"age": 41, "income": 1, "visits": 3, "member": 1, "town": "Oslo"}[column]
    tensors = good(beside + 1, **{column: (datatype, [fine] * beside + [value])})
    wrong = fault_of(read_infer, live(), *body(*tensors))
    assert (wrong.path, wrong.found) == (f"rows[{beside}].{column}", found)
    assert wrong.expected


@pytest.mark.parametrize(
    ("datatype", "value", "taken"),
    [
        ("INT32", 1.5, False), ("INT8", 128, False), ("INT8", 127, True), ("INT8", -128, True), ("UINT8", -1, False), ("UINT16", 65536, False),
        ("INT64", 2.0, True), ("INT32", None, True), ("INT64", 2**63, False), ("UINT64", 2**63, True), ("FP32", 1.5, True), ("INT64", 1e20, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [0, 3, 40])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_number_of_json_is_held_against_the_type_that_its_tensor_declares(datatype, value, taken, beside, pieces):
    """Bytes cannot say INT8 and hold 300; JSON can."""
    data = [1] * beside + [value]
    if pieces:  # as of a large body
        faults, column = [], PiecedColumn(ColumnCheck(SIGNATURE.columns[1]), datatype, len(data), len(data))
        column.take(data[: len(data) // 2])
        column.take(data[len(data) // 2 :])
        faults += column.faults
    else:
        inputs = [
            {"name": k, "datatype": d, "shape": [len(v)], "data": v} for k, d, v in good(len(data), income=(datatype, data))
        ]
        try:
            assert read_infer(live(), json.dumps({"inputs": inputs}).encode(), None).rows.n == len(data)
            faults = []
        except RequestError as refused:
            faults = refused.faults
    assert [fault.path for fault in faults] == ([] if taken else [f"rows[{beside}].income"])
    assert taken or faults[0].expected.endswith(f"as {datatype} says")


@pytest.mark.parametrize(
    ("datatype", "value", "taken"),
    [
        ("INT8", 127, True), ("INT8", -128, True), ("INT8", 128, False), ("INT8", -129, False), ("INT16", 32767, True), ("INT16", 32768, False),
        ("UINT8", 255, True), ("UINT8", 256, False), ("UINT16", 65535, True), ("UINT16", 65536, False), ("INT32", 2**31 - 1, True), ("UINT32", 2**32 - 1, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [0, 40])
def test_typed_contents_are_held_against_the_type_that_their_tensor_declares(datatype, value, taken, beside):
    """gRPC's fields are of 32 bits or more; what they hold may be declared as less."""
    values = np.array([1] * beside + [value], dtype="<i4" if datatype.startswith("INT") else "<u4")
    faults = []
    ColumnCheck(SIGNATURE.columns[1]).numbers(values, datatype, faults)
    assert [fault.path for fault in faults] == ([] if taken else [f"rows[{beside}].income"])
    assert taken or (faults[0].found, faults[0].expected.endswith(f"as {datatype} says")) == (str(value), True)


def test_a_limit_counts_in_the_datatype_of_the_value():
    assert read(*good(age=("FP32", [0.1] * 3))).rows.columns["age"][0, 0] == np.float32(0.1)
    whole = msgspec.structs.replace(NUMERIC, columns=(Column(name="a", type=ColumnType.INTEGER, maximum=2**53),))
    for tensor in ({"data": [2**53 + 1] * 20}, {"data": [2**53 + 1]}):
        one = {"name": "a", "datatype": "INT64", "shape": [len(tensor["data"])], **tensor}
        assert fault_of(read_infer, live(whole), json.dumps({"inputs": [one]}).encode(), None).path == "rows[0].a"
    assert fault_of(read_infer, live(whole), *body(("a", "INT64", [2**53 + 1]))).path == "rows[0].a"


def rounded(values):
    """BF16 as most libraries make it of float32: to the nearest. (`packed` cuts, as tritonclient does.)"""
    bits = np.array(values, "<f4").view("<u4").astype("<u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


@pytest.mark.parametrize("limit", [0.1, 0.3, 1.7, 1e-3, 150.1, 65504.0, 1e6])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("way", ["FP16", "BF16 cut", "BF16 rounded"])
def test_a_limit_counts_in_half_types_too_and_nothing_beyond_it(limit, sign, way):
    datatype = way[:4]
    if datatype == "FP16" and limit > 65504:
        pytest.skip("the type has no such number")

    def ask(value, **limits):
        raw = rounded([value]) if way == "BF16 rounded" else packed(datatype, [value])
        signature = msgspec.structs.replace(SIGNATURE, columns=(Column(name="a", type=ColumnType.NUMBER, **limits),))
        one = {"name": "a", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": len(raw)}}
        head = json.dumps({"inputs": [one]}).encode()
        return read_infer(live(signature), head + raw, str(len(head)).encode()).rows

    value = sign * limit
    assert ask(value, minimum=value).n == ask(value, maximum=value).n == 1
    beyond = abs(value) * 2**-5  # some of the smallest steps of either type
    for limits, other in (({"minimum": value}, value - beyond), ({"maximum": value}, value + beyond)):
        if datatype == "FP16" and abs(other) > 65504:
            other = math.copysign(float("inf"), other)  # noqa: PLW2901 - what it is then
        assert fault_of(partial(ask, other, **limits)).path == "rows[0].a"
    for infinity in (float("inf"), float("-inf")):
        assert fault_of(partial(ask, infinity, minimum=-1e6, maximum=1e6)).found == "an infinity"


def test_bytes_that_are_neither_true_nor_false_are_not_taken_as_true():
    given, header = body(*good(1, town=None))
    wrong = fault_of(read_infer, live(), given[:-1] + b"\2", header)
    assert (wrong.path, wrong.found) == ("rows[0].member", "2")


def test_missing_values_may_come_as_nan_only_where_the_column_may_be_missing():
    taken = read(*good(income=("FP32", [float("nan")] * 3))).rows
    assert np.isnan(taken.columns["income"]).all()
    assert np.isnan(read(*good(income=None)).rows.columns["income"]).all()
    assert fault_of(read_infer, live(), *body(*good(age=None))).path == "rows[0].age"


def changed(tensor=0, tail=b"", header=None, **members):
    given, length = body(*good())
    form = json.loads(given[: int(length)])
    form["inputs"][tensor] |= members
    head = json.dumps(form).encode()
    return head + given[int(length) :] + tail, str(len(head)).encode() if header is None else header


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"shape": [2]}, "inputs[0].data"),
        ({"shape": [4]}, "inputs[0].data"),
        ({"shape": [3, 2]}, "inputs[0].shape"),
        ({"shape": [-3]}, "inputs[0].data"),
        ({"shape": []}, "inputs[0].shape"),
        ({"shape": [[3]]}, "inputs[0].shape"),
        ({"shape": [3.0]}, "inputs[0].shape"),
        ({"shape": [2**70]}, "inputs[0].shape"),
        ({"shape": None}, "inputs[0].shape"),
        ({"shape": [10**12]}, "inputs[0].shape"),
        ({"datatype": "FP64"}, "inputs[0].data"),
        ({"datatype": "BYTES"}, "inputs[0].datatype"),
        ({"datatype": "FP8"}, "inputs[0].datatype"),
        ({"parameters": {"binary_data_size": 11}}, "body"),
        ({"parameters": {"binary_data_size": 13}}, "inputs[4].parameters.binary_data_size"),
        ({"parameters": {"binary_data_size": -1}}, "inputs[0].parameters.binary_data_size"),
        ({"parameters": {"binary_data_size": True}}, "inputs[0].parameters.binary_data_size"),
        ({"parameters": {"binary_data_size": "12"}}, "inputs[0].parameters.binary_data_size"),
        ({"parameters": {"shared_memory_region": "r"}}, "inputs[0].parameters.shared_memory_region"),
        ({"parameters": None}, "body"),
        ({"parameters": []}, "inputs[0].parameters"),
        ({"parameters": [1]}, "inputs[0].parameters"),
        ({"data": [1, 2, 3]}, "inputs[0].parameters.binary_data_size"),
        ({"tail": b"x"}, "body"),
        ({"header": b"-1"}, "Inference-Header-Content-Length"),
        ({"header": b"0"}, "Inference-Header-Content-Length"),
        ({"header": b"999999"}, "Inference-Header-Content-Length"),
        ({"header": b"\xb2"}, "Inference-Header-Content-Length"),
        ({"header": b"9" * 5000}, "Inference-Header-Content-Length"),
        ({"header": b"20"}, "body"),
    ],
)
def test_sizes_that_do_not_agree_are_named(change, path):
    assert fault_of(read_infer, live(), *changed(**change)).path == path


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0\0\0", strings([b"a", b"b"]), strings([b"a", b"b", b"c", b"d"]), strings([b"a", b"b"]) + b"\xff\xff\xff\xff", b"\xff" * 12,
     strings([b"a", b"b", b"c"]) + b"\0", strings([b"\xff\xfe", b"b", b"c"])],
)  # fmt: skip
def test_strings_that_do_not_fill_their_bytes_are_refused(raw):
    head = {"inputs": [{"name": "town", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(raw)}}]}
    head = json.dumps(head).encode()
    lonely = msgspec.structs.replace(SIGNATURE, columns=SIGNATURE.columns[4:])
    assert fault_of(read_infer, live(lonely), head + raw, str(len(head)).encode()).path in ("inputs[0].data", "rows[0].town")


@given(st.data())
@settings(max_examples=1000, deadline=None)
def test_whatever_is_done_to_a_body_it_is_read_or_refused(data):
    given, header = body(*good(2))
    broken = bytearray(given)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert", "header"]))
        if kind == "set":
            broken[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del broken[at : at + data.draw(st.integers(1, 9))]
            broken = broken or bytearray(b"x")
        elif kind == "insert":
            broken[at:at] = data.draw(st.binary(max_size=9))
        else:
            header = str(data.draw(st.integers(-2, len(broken) + 2))).encode()
    taken, faults = None, ()
    try:
        taken = read_infer(live(), bytes(broken), header)
    except RequestError as refused:
        faults = refused.faults
    assert (taken is None) == bool(faults)
    assert all(fault.path and fault.found and fault.expected for fault in faults)
    if taken is not None:
        assert all(values.shape == (taken.rows.n, 1) for values in taken.rows.columns.values())


def test_what_another_server_would_read_and_this_one_does_not_is_refused_where_it_would_be_missed():
    assert fault_of(read_infer, live(), *body(*good(), model_name="other")).path == "model_name"
    assert read(*good(), model_name="shop").rows.n == 3
    for parameters, path in (
        ({"key": "a"}, "parameters.key"),
        ({"sequence_id": 7}, "parameters.sequence_id"),
        ({"explain": True}, "parameters.explain"),
        ({"binary_data_output": 1}, "parameters.binary_data_output"),
        ({"keys": "a"}, "parameters.keys"),
        ({"keys": ["a"]}, "parameters.keys"),
    ):
        assert fault_of(read_infer, live(), *body(*good(), parameters=parameters)).path == path
    assert fault_of(
        read_infer, live(), *body(*good(), outputs=[{"name": "label", "parameters": {"classification": 2}}])
    ).path.endswith("classification")
    taken = read(*good(), parameters={"content_type": "pd", "priority": 1, "keys": '["a", "b", "c"]'}, outputs=["label"])
    assert (taken.rows.keys, taken.outputs) == (["a", "b", "c"], {"label": False})


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ([], ("body", "a list", "an object with a list of inputs")),
        ({}, ("inputs", "nothing", "a list of inputs")),
        ({"inputs": {}}, ("inputs", "an object", "a list of inputs")),
    ],
)
def test_what_stands_in_place_of_inputs_is_what_is_named(form, told):
    (fault,) = form_faults(form)
    assert (fault.path, fault.found, fault.expected) == told
