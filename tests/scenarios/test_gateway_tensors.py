"""A real gateway and tensors as bytes: many rows, broken bodies, and a version that a client insists on while a canary answers everybody else."""

import json

import numpy as np
import pytest
from gateway_rig import SIGNATURE, Rig, onnx_model, package, table

from flyball.records.captured import PredictionBatch
from flyball.records.unit import Format

DATATYPES = {
    "age": ("FP32", "<f4"),
    "income": ("FP64", "<f8"),
    "visits": ("INT32", "<i4"),
    "member": ("BOOL", "?"),
    "town": ("BYTES", ""),
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tensors")
    rig = Rig(directory / "state")
    first = package(directory / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)
    second = package(directory / "v2", Format.ONNX, onnx_model(5)[0], SIGNATURE, version=2)
    rig.renew_lease()
    rig.publish(table(1, first, canary=second, canary_weight=1.0))
    worker = rig.start("w0", "--lease-seconds", "600")
    yield rig, worker, first, second
    assert worker.stop() == 0
    assert "incident" not in (rig.directory / "w0.log").read_text()
    rig.close()


def body(n, **more):
    draw = np.random.default_rng(n)
    columns = {
        "age": draw.uniform(18, 90, n), "income": draw.uniform(0, 5000, n), "visits": draw.integers(9, size=n),
        "member": draw.integers(2, size=n), "town": draw.choice(["Oslo", "Rome", "Lima"], n),
    }  # fmt: skip
    tails, inputs = [], []
    for name, values in columns.items():
        datatype, code = DATATYPES[name]
        raw = (
            b"".join(len(t).to_bytes(4, "little") + t.encode() for t in values)
            if name == "town"
            else values.astype(code).tobytes()
        )
        tails.append(raw)
        inputs.append({"name": name, "datatype": datatype, "shape": [n, 1], "parameters": {"binary_data_size": len(raw)}})
    head = json.dumps({"inputs": inputs, **more}).encode()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
    return head + b"".join(tails), len(head), [{**row, "member": bool(row["member"])} for row in rows]


def post(worker, content, length, path="/v2/models/shop/infer"):
    headers = {"inference-header-content-length": str(length), "content-type": "application/octet-stream"}
    return worker.http.post(path, content=content, headers=headers)


@pytest.mark.parametrize("n", [1, 100, 3000])
def test_bytes_are_answered_and_captured_like_the_same_rows_in_plain_form(setting, n):
    rig, worker, *_ = setting
    content, length, rows = body(n, parameters={"binary_data_output": True})
    answer = post(worker, content, length)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    size = int(answer.headers["inference-header-content-length"])
    head, tail = json.loads(answer.content[:size]), answer.content[size:]
    scores, labels = head["outputs"]
    plain = worker.predict(*rows).json()["predictions"]
    got = np.frombuffer(tail[: scores["parameters"]["binary_data_size"]], "<f8")
    assert got.tolist() == pytest.approx([each["score"] for each in plain], abs=1e-6)
    texts = tail[scores["parameters"]["binary_data_size"] :]
    assert labels["parameters"]["binary_data_size"] == len(texts)
    assert texts == b"".join(len(each["label"]).to_bytes(4, "little") + each["label"].encode() for each in plain)
    captured = {at: (columns, row) for each in rig.captured() if isinstance(each, PredictionBatch) and each.role == "canary"
                for row, (at, columns) in enumerate((at, each.columns) for at in each.ids)}  # fmt: skip
    for ours, theirs in zip(head["parameters"]["prediction_ids"], plain, strict=True):
        (a, i), (b, j) = captured[ours], captured[theirs["id"]]
        assert {name: values[i] for name, values in a.items()} == {name: values[j] for name, values in b.items()}


@pytest.mark.parametrize("binary", [False, True])
def test_a_large_request_in_json_is_answered_in_slices_as_its_rows_in_small_ones(setting, binary):
    rig, worker, *_ = setting
    _, _, rows = body(6000)
    ids = [f"j{binary}{number}" for number in range(6000)]

    def ask(start, stop):
        inputs = [
            {"name": name, "datatype": datatype, "shape": [stop - start], "data": [row[name] for row in rows[start:stop]]}
            for name, (datatype, _) in DATATYPES.items()
        ]
        parameters = {"prediction_ids": ids[start:stop], "binary_data_output": binary}
        answer = worker.http.post("/v2/models/shop/infer", json={"id": "7", "inputs": inputs, "parameters": parameters})
        assert answer.status_code == 200
        assert answer.headers["x-flyball-prediction-id"] == ids[start]
        size = int(answer.headers.get("inference-header-content-length", len(answer.content)))
        return answer.headers["x-flyball-unit"], json.loads(answer.content[:size]), answer.content[size:]

    unit, whole, tail = ask(0, 6000)
    parts = [ask(start, start + 500) for start in range(0, 6000, 500)]
    assert {unit} == {part[0] for part in parts}
    assert whole["parameters"]["prediction_ids"] == ids
    for at, output in enumerate(whole["outputs"]):
        assert output["shape"] == [6000, 1]
        if not binary:
            assert output["data"] == [value for _, part, _ in parts for value in part["outputs"][at]["data"]]
    sizes = [part["outputs"][0].get("parameters", {}).get("binary_data_size", 0) for _, part, _ in parts]
    behind = [(raw[:size], raw[size:]) for (*_, raw), size in zip(parts, sizes, strict=True)]
    assert tail == b"".join(scores for scores, _ in behind) + b"".join(labels for _, labels in behind)
    assert bool(tail) == binary
    captured = [each for record in rig.captured() if isinstance(record, PredictionBatch) for each in record.ids]
    assert captured[-12000:-6000] == ids


def test_a_named_version_answers_alone_whatever_the_canary_takes(setting):
    rig, worker, first, second = setting
    content, length, _ = body(4)
    assert post(worker, content, length).headers["x-flyball-unit"] == second.unit.id
    named = post(worker, content, length, "/v2/models/shop/versions/1/infer")
    assert (named.headers["x-flyball-unit"], named.json()["model_version"]) == (first.unit.id, "1")
    last = [each for each in rig.captured() if isinstance(each, PredictionBatch)][-1]
    assert (last.unit, last.role) == (first.unit.id, "champion")
    refused = post(worker, content, length, "/v2/models/shop/versions/2/infer")
    assert refused.status_code == 404
    assert "Expected: 1, or no version at all" in refused.json()["error"]
    for path, status in (("versions/1", 200), ("versions/1/ready", 200), ("versions/2/ready", 404), ("versions/x", 404)):
        assert worker.http.get(f"/v2/models/shop/{path}").status_code == status


def test_bytes_are_taken_only_where_bytes_may_come(setting):
    worker = setting[1]
    refused = worker.http.post("/models/shop/predict", content=b"{}", headers={"content-type": "application/octet-stream"})
    assert refused.status_code == 415
    assert worker.http.post("/v2/repository/index").json() == [{"name": "shop", "version": "1", "state": "READY", "reason": ""}]


def test_500_broken_bodies_are_answered_or_refused_and_never_ours_to_mend(setting):
    worker = setting[1]
    content, length, _ = body(3)
    draw = np.random.default_rng(7)
    statuses = set()
    for _ in range(500):
        broken = bytearray(content)
        for _ in range(int(draw.integers(1, 4))):
            at = int(draw.integers(len(broken)))
            if draw.integers(2):
                broken[at] = int(draw.integers(256))
            else:
                del broken[at : at + int(draw.integers(1, 9))]
        answer = post(worker, bytes(broken), length + int(draw.integers(-1, 2)))
        statuses.add(answer.status_code)
        assert answer.status_code == 200 or answer.json()["error"]
    assert statuses <= {200, 422}
    assert 422 in statuses
    assert post(worker, content, length).status_code == 200
