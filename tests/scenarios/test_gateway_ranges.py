"""Numbers outside what training saw: flagged or refused at every door, of every size of a request, as the signature says."""

import json

import grpc
import msgspec
import numpy as np
import pytest
from gateway_rig import ROW, SIGNATURE, Rig, onnx_model, package, table
from test_gateway_grpc import Client, request
from test_gateway_tensors import body, post

from flyball.records.captured import PredictionBatch
from flyball.records.unit import Format

FAR = {**ROW, "income": 16777217.0, "visits": 40}
SAID = [
    {"field": "income", "found": "16777217.0", "flag": "outside what training saw"},
    {"field": "visits", "found": "40", "flag": "outside what training saw"},
]
AS_MODEL = [{**SAID[0], "found": "16777216.0"}, {**SAID[1], "found": "40.0"}]
"""Of tensors the model's own numbers are compared and told, which are float32."""


def with_columns(**changes):
    return msgspec.structs.replace(
        SIGNATURE,
        columns=tuple(msgspec.structs.replace(column, **changes.get(column.name, {})) for column in SIGNATURE.columns),
    )


def served(directory, signature):
    rig = Rig(directory / "state")
    rig.publish(table(1, package(directory / "v1", Format.ONNX, onnx_model()[0], signature)))
    worker = rig.start("w0", "--grpc-port", "0")
    return rig, worker, Client(worker.card["grpc_port"])


@pytest.fixture(scope="module")
def flagging(tmp_path_factory):
    signature = with_columns(income={"seen": (0.0, 5000.0)}, visits={"seen": (0.0, 8.0)})
    rig, worker, client = served(tmp_path_factory.mktemp("flagging"), signature)
    yield rig, worker, client
    client.channel.close()
    rig.close()


def told(text):
    return [{name: value for name, value in each.items() if name != "row"} for each in json.loads(text)]


def test_they_are_flagged_in_the_plain_form_whatever_its_size(flagging):
    _, worker, _ = flagging
    few = worker.predict(ROW, FAR, {**ROW, "income": None}, {**ROW, "income": 5000.0, "visits": 8.0})
    assert [each.get("flags") for each in few.json()["predictions"]] == [None, SAID, None, None]
    many = worker.predict(*[ROW] * 3000, FAR).json()["predictions"]
    assert [at for at, each in enumerate(many) if "flags" in each] == [3000]
    assert many[-1]["flags"] == SAID


def inputs(rows):
    kinds = {"age": "FP32", "income": "FP64", "visits": "INT64", "member": "BOOL", "town": "BYTES"}
    columns = {name: [row[name] for row in rows] for name in kinds}
    return {"inputs": [{"name": name, "datatype": kinds[name], "shape": [len(rows), 1], "data": columns[name]} for name in kinds]}


@pytest.mark.parametrize("before", [1, 30_000])
def test_they_are_flagged_in_open_inference_json_whatever_its_size(flagging, before):
    answer = flagging[1].http.post("/v2/models/shop/infer", json=inputs([ROW] * before + [FAR]))
    assert answer.json()["parameters"]["flags"] == [{"row": before, **flag} for flag in AS_MODEL]


def test_they_are_flagged_in_binary_tensors(flagging):
    content, length, rows = body(5)
    plain = post(flagging[1], content, length)
    assert plain.status_code == 200, plain.text
    assert "flags" not in plain.text
    far = content.replace(np.float64(rows[2]["income"]).tobytes(), np.float64(-3).tobytes())
    answer = post(flagging[1], far, length)
    assert b'"flags":[{"row":2,"field":"income","found":"-3.0","flag":"outside what training saw"}]' in answer.content


def test_they_are_flagged_over_grpc_and_captured_as_they_came(flagging):
    rig, _, client = flagging
    message = request(ROW, FAR, id="q")
    message.parameters["prediction_ids"].string_param = '["near", "far"]'
    answer = client.infer(message)
    assert told(answer.parameters["flags"].string_param) == AS_MODEL
    kept = [record for record in rig.captured() if isinstance(record, PredictionBatch) and "far" in record.ids]
    assert kept[0].columns["visits"][kept[0].ids.index("far")] == 40


def test_they_are_refused_with_row_field_found_and_expected_at_every_door(tmp_path):
    signature = with_columns(income={"minimum": 0.0, "maximum": 5000.0}, visits={"minimum": 0.0, "maximum": 8.0})
    rig, worker, client = served(tmp_path, signature)
    try:
        for answer in (worker.predict(ROW, FAR), worker.http.post("/v2/models/shop/infer", json=inputs([ROW, FAR]))):
            first, second = answer.json()["faults"]
            assert (answer.status_code, first["row"], first["field"], second["field"]) == (422, 1, "income", "visits")
            assert (first["found"], first["expected"]) == ("16777217.0", "a number from 0 to 5000 or null")
        status, words = client.infer(request(ROW, FAR))
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert "rows[1].income" in words
    finally:
        client.channel.close()
        rig.close()
