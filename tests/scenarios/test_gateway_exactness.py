"""What exactly becomes of odd numbers, odd texts and broken rows at a real gateway's doors: one fixed outcome each, and never a 5xx."""

import json
import threading

import httpx
import numpy as np
import pytest
from gateway_rig import CLIENT, ROW, SIGNATURE, Rig, onnx_model, package, table
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flyball.records.captured import PredictionBatch
from flyball.records.signature import Column, ColumnType, Unknown
from flyball.records.unit import Format

STRICT = replace(
    SIGNATURE,
    columns=(
        *SIGNATURE.columns[:4],
        Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome"), unknown=Unknown.FLAG),
        Column(name="grade", type=ColumnType.CATEGORY, categories=("a", "b"), unknown=Unknown.REFUSE, missing=True),
    ),
)
GOOD = {**ROW, "grade": "a"}
DATATYPES = {"age": "FP64", "income": "FP64", "visits": "INT64", "member": "BOOL", "town": "BYTES", "grade": "BYTES"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exact")
    rig = Rig(directory / "state")
    rig.publish(table(1, package(directory / "v1", Format.ONNX, onnx_model()[0], STRICT)))
    yield rig
    rig.close()


@pytest.fixture(scope="module")
def worker(rig):
    return rig.start("w0")


def sent(worker, field, text):
    """The second of two rows has `text` as the value of `field`, as it stands."""
    row = json.dumps({name: value for name, value in GOOD.items() if name != field})
    body = b'{"rows": [%s, %s, "%s": %s}]}' % (json.dumps(GOOD).encode(), row[:-1].encode(), field.encode(), text)
    return worker.http.post("/models/shop/predict", content=body, headers={"content-type": "application/json"})


def used(rig, field):
    return [each for each in rig.captured() if isinstance(each, PredictionBatch)][-1].columns[field][1]


def float32(value):
    return float(np.float32(value))


NOT_JSON = "no such JSON"
NUMBERS = {  # text: (as a number, as a whole number); a float is what the model is given, REFUSED names row and field, None is missing
    "0": (0.0, 0.0), "-0": (0.0, 0.0), "-0.0": (0.0, 0.0), "1": (1.0, 1.0), "1.0": (1.0, 1.0), "1e2": (100.0, 100.0), "1E+2": (100.0, 100.0),
    "2.50": (2.5, "refused"), "0.1": (float32(0.1), "refused"), "1e-45": (float32(1e-45), "refused"), "1e-400": (0.0, 0.0), "5e-324": (0.0, "refused"),
    "16777217": (16777216.0, 16777216.0), "9007199254740993": (2.0**53, 2.0**53), "9223372036854775807": (2.0**63, 2.0**63),
    "9223372036854775808": (2.0**63, 2.0**63), "18446744073709551616": (2.0**64, 2.0**64), "1e38": (float32(1e38), float32(1e38)),
    "340282346638528859811704183484516925440": (float32(3.4028234663852886e38),) * 2, "0." + "1" * 4301: (float32(1 / 9), "refused"),
    "3.41e38": ("refused", "refused"), "-1e300": ("refused", "refused"), "1e400": ("refused", "refused"), "-1e400": ("refused", "refused"),
    "1" * 4301: ("refused", "refused"), "NaN": ("refused", "refused"), "Infinity": ("refused", "refused"), "-Infinity": ("refused", "refused"),
    "true": ("refused", "refused"), "false": ("refused", "refused"), '"1"': ("refused", "refused"), '""': ("refused", "refused"),
    "[1]": ("refused", "refused"), "{}": ("refused", "refused"), "null": (None, "refused"),
    "01": (NOT_JSON, NOT_JSON), "1.": (NOT_JSON, NOT_JSON), ".5": (NOT_JSON, NOT_JSON), "+1": (NOT_JSON, NOT_JSON), "0x10": (NOT_JSON, NOT_JSON),
    "1_000": (NOT_JSON, NOT_JSON), "nan": (NOT_JSON, NOT_JSON), "1,5": (NOT_JSON, NOT_JSON), "": (NOT_JSON, NOT_JSON),
}  # fmt: skip

TOLD_AS_SENT = {"NaN", "Infinity", "-Infinity", "1e400", "-1e400", "true", "false", '"1"', '""', "null", "0.1"}


@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text[:24] or "nothing")
@pytest.mark.parametrize(("field", "at"), [("income", 0), ("visits", 1)])
def test_a_number_has_one_outcome(rig, worker, text, field, at):
    outcome = NUMBERS[text][at]
    answer = sent(worker, field, text.encode())
    if outcome == "refused":
        (fault,) = answer.json()["faults"]
        assert (answer.status_code, fault["row"], fault["field"]) == (422, 1, field)
        assert fault["found"]
        if text in TOLD_AS_SENT:
            assert fault["found"] == text
    elif outcome == NOT_JSON:
        assert (answer.status_code, answer.json()["faults"][0]["path"]) == (422, "body")
    else:
        assert answer.status_code == 200, answer.text
        assert used(rig, field) == outcome


TEXTS = {  # JSON as bytes: the category that the model is given; None: refused
    "known": (b'"Oslo"', "Oslo"),
    "escaped": (b'"\\u004fslo"', "Oslo"),
    "four bytes": ('"🦊"'.encode(), "🦊"),
    "a pair of surrogates": (b'"\\ud83e\\udd8a"', "🦊"),
    "right to left": ('"\u202eolsO שלום"'.encode(), "\u202eolsO שלום"),
    "combining": ('"Sa\u0303o"'.encode(), "Sa\u0303o"),
    "composed is another": ('"São"'.encode(), "São"),
    "a BOM inside": ('"\ufeffOslo"'.encode(), "\ufeffOslo"),
    "colons": (b'"a:b\\u003ac"', "a:b:c"),
    "quotes and backslashes": (b'"\\"\\\\\\/\\n"', '"\\/\n'),
    "empty": (b'""', ""),
    "long": (b'"%s"' % (b"x" * 65_536), "x" * 65_536),
    "too long": (b'"%s"' % (b"x" * 65_537), None),
    "ten megabytes": (b'"%s"' % (b"x" * 10_000_000), None),
    "NUL": (b'"Oslo\\u0000"', None),
    "a number": (b"7", None),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_one_outcome(rig, worker, name):
    written, category = TEXTS[name]
    answer = sent(worker, "town", written)
    if category is None:
        (fault,) = answer.json()["faults"]
        assert (answer.status_code, fault["row"], fault["field"]) == (422, 1, "town")
        assert len(fault["found"]) < 100
        return
    assert answer.status_code == 200, answer.text
    assert used(rig, "town") == category
    first, second = answer.json()["predictions"]
    assert "flags" not in first
    assert [each["flag"] for each in second.get("flags", [])] == ([] if category == "Oslo" else ["unknown category"])


WHOLE = json.dumps({"rows": [GOOD]}).encode()
BODIES = {
    "a lone surrogate": WHOLE.replace(b'"Oslo"', b'"\\ud800"'),
    "halves in the wrong order": WHOLE.replace(b'"Oslo"', b'"\\udd8a\\ud83e"'),
    "a surrogate as bytes": WHOLE.replace(b'"Oslo"', b'"\xed\xa0\x80"'),
    "a surrogate as bytes for a known category": WHOLE.replace(b'"a"', b'"\xed\xa0\x80"'),
    "a surrogate as bytes in a name": WHOLE.replace(b'"age"', b'"\xed\xa0\x80": 1, "age"'),
    "a surrogate as bytes beside NaN": b'{"rows":[{"age":NaN,"\xed\xa0\x80":1}]}',
    "invalid UTF-8": WHOLE.replace(b'"Oslo"', b'"\xff"'),
    "a raw NUL": WHOLE.replace(b'"Oslo"', b'"\x00"'),
    "a raw newline": WHOLE.replace(b'"Oslo"', b'"\n"'),
    "a BOM in front": b"\xef\xbb\xbf" + WHOLE,
    "UTF-16": WHOLE.decode().encode("utf-16"),
    "UTF-16 without a BOM": WHOLE.decode().encode("utf-16-le"),
    "UTF-16 with NaN": WHOLE.replace(b"41.5", b"NaN").decode().encode("utf-16"),
    "UTF-32": WHOLE.decode().encode("utf-32"),
    "Latin-1": WHOLE.replace(b"Oslo", b"S\xe3o"),
    "something after the end": WHOLE + b"{}",
    "a trailing comma": WHOLE[:-2] + b",]}",
    "a comment": b"// rows\n" + WHOLE,
    "a field twice": WHOLE.replace(b'"age"', b'"age": 1, "age"'),
    "a field twice, once escaped": WHOLE.replace(b'"age"', b'"\\u0061ge": 1, "age"'),
    "rows twice": b'{"rows": [], ' + WHOLE[1:],
    "a value that holds a name twice": WHOLE.replace(b'"Oslo"', b'{"a": 1, "a": 2}'),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_one_clear_text_is_refused(worker, name):
    answer = worker.http.post("/models/shop/predict", content=BODIES[name], headers={"content-type": "application/json"})
    assert answer.status_code == 422
    path = {"a field twice": "rows[0].age", "a field twice, once escaped": "rows[0].age", "rows twice": "rows"}.get(name, "body")
    assert answer.json()["faults"][0]["path"] == path
    assert worker.predict(GOOD).status_code == 200


def test_a_surrogate_as_bytes_is_refused_in_tensors_of_any_size(worker):
    """A large request is read in pieces, and where one has no such number its values are looked at more closely."""
    for rows in (1, 30_000):
        body = json.dumps(inputs([GOOD] * rows)).encode()
        for odd in (
            body.replace(b'"age"', b'"\xed\xa0\x80"').replace(b"41.5", b"NaN"),
            body.replace(b'"a"', b'"\xed\xa0\x80"', 1),
        ):
            answer = worker.http.post("/v2/models/shop/infer", content=odd, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["faults"][0]["path"]) == (422, "body")


def test_unknown_categories_are_refused_and_flagged_at_both_doors(worker):
    rows = [GOOD, {**GOOD, "town": "Lima"}]
    flag = {"field": "town", "found": '"Lima"', "flag": "unknown category"}
    assert [each.get("flags") for each in worker.predict(*rows).json()["predictions"]] == [None, [flag]]
    answer = worker.http.post("/v2/models/shop/infer", json=inputs(rows))
    assert answer.json()["parameters"]["flags"] == [{"row": 1, **flag}]
    assert "flags" not in worker.http.post("/v2/models/shop/infer", json=inputs([GOOD])).json()["parameters"]
    bad = [GOOD, {**GOOD, "grade": "A"}]
    for refused in (worker.predict(*bad), worker.http.post("/v2/models/shop/infer", json=inputs(bad))):
        (fault,) = refused.json()["faults"]
        assert (refused.status_code, fault["row"], fault["field"]) == (422, 1, "grade")
        assert (fault["found"], fault["expected"]) == ('"A"', 'one of "a", "b" or null')


def inputs(rows):
    return {
        "inputs": [
            {"name": name, "datatype": DATATYPES[name], "shape": [len(rows), 1], "data": [row[name] for row in rows]}
            for name in GOOD
        ]
    }


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
odd = st.booleans() | texts | st.just({}) | st.just([1, 2])
WRONG = {
    "age": odd | st.integers(151, 10**30) | st.floats(max_value=-0.01, min_value=-1e37) | st.none(),
    "income": odd | st.integers(10**39, 10**50),
    "visits": odd | st.sampled_from([0.5, -2.25]) | st.none(),
    "member": texts | st.integers() | st.none(),
    "town": st.integers() | st.booleans() | st.none() | texts.map(lambda text: text + "\0"),
    "grade": st.integers() | st.booleans() | texts.filter(lambda text: text not in ("a", "b")),
}


def test_hundreds_of_violations_at_both_doors_are_named_while_good_requests_are_answered_alike(worker):
    expected = [each["score"] for each in worker.predict(GOOD, {**GOOD, "age": 20}).json()["predictions"]]
    found, ending = set(), threading.Event()

    def ask():
        with httpx.Client(base_url=worker.http.base_url, headers={"authorization": f"Bearer {CLIENT}"}) as client:
            while not ending.is_set():
                answer = client.post("/models/shop/predict", json={"rows": [GOOD, {**GOOD, "age": 20}]})
                scores = [each["score"] for each in answer.json()["predictions"]] if answer.status_code == 200 else None
                found.add((answer.status_code, scores == expected))

    @given(st.sets(st.tuples(st.integers(0, 3), st.sampled_from(sorted(GOOD))), min_size=1, max_size=3), st.data())
    @settings(max_examples=300, derandomize=True, database=None, deadline=None)
    def violate(where, data):
        rows = [dict(GOOD) for _ in range(4)]
        for at, name in where:
            rows[at][name] = data.draw(WRONG[name])
        for answer in (worker.predict(*rows), worker.http.post("/v2/models/shop/infer", json=inputs(rows))):
            assert answer.status_code == 422
            assert {(fault["row"], fault["field"]) for fault in answer.json()["faults"]} == where

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        violate()
    finally:
        ending.set()
        asking.join()
    assert found == {(200, True)}
