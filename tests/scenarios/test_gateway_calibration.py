"""A real gateway whose champion is a version's unit with a calibration: one score, wherever it is told."""

import grpc
import msgspec
import numpy as np
import pytest
from gateway_rig import ROW, SIGNATURE, code_package, onnx_model, package, table
from test_gateway_explains import BACKGROUND, adds_up
from test_gateway_grpc import Client, request

from flyball.records import codec
from flyball.records.captured import PredictionBatch
from flyball.records.routing import RoutingTable
from flyball.records.unit import Format, ScoreMap, Unit

LOWER = ScoreMap(method="platt", scores=(0.0, 0.5, 1.0), answers=(0.0, 0.2, 1.0), rows=500)
ROWS = [{**ROW, "age": age, "member": member} for age in (20, 35, 50, 65, 80) for member in (False, True)]


@pytest.fixture
def units(tmp_path):
    plain = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE, threshold=0.3, background=BACKGROUND)
    unit = msgspec.structs.replace(plain.unit, id="ucalibrated01", calibration=LOWER)
    return plain, msgspec.structs.replace(plain, unit=unit)


def test_answer_label_capture_open_inference_and_reasons_tell_of_the_same_score(rig, units):
    plain, calibrated = units
    rig.publish(table(1, plain, shadows=(calibrated,)))
    rig.renew_lease()
    worker = rig.start("w0")
    before = worker.predict(*ROWS).json()["predictions"]
    rig.publish(table(2, calibrated))
    worker.reload()
    answered = worker.predict(*ROWS, explain=True).json()["predictions"]
    scores = [one["score"] for one in answered]
    assert scores == pytest.approx(LOWER.of([one["score"] for one in before]).tolist(), abs=1e-12)
    assert [one["label"] for one in answered] == ["yes" if score >= 0.3 else "no" for score in scores]
    assert len({one["label"] for one in before}) == len({one["label"] for one in answered}) == 2
    assert any(one["label"] != now["label"] for one, now in zip(before, answered, strict=True))
    assert all(adds_up(one) for one in answered)
    values = {name: [row[name] for row in ROWS] for name in ROW}
    types = {"age": "FP64", "income": "FP64", "visits": "INT64", "member": "BOOL", "town": "BYTES"}
    inputs = [{"name": name, "datatype": types[name], "shape": [len(ROWS), 1], "data": data} for name, data in values.items()]
    told = {
        each["name"]: each["data"]
        for each in worker.http.post("/v2/models/shop/infer", json={"inputs": inputs}).json()["outputs"]
    }
    assert told["scores"] == pytest.approx(scores, abs=1e-12)
    assert told["label"] == [one["label"] for one in answered]
    captured = [each for each in rig.captured() if isinstance(each, PredictionBatch) and each.unit == "ucalibrated01"]
    assert {each.role for each in captured} == {"shadow", "champion"}
    assert all([row[0] for row in each.scores] == pytest.approx(scores, abs=1e-12) for each in captured)
    assert worker.stop() == 0


@pytest.mark.parametrize("behaviour", ["good", "nan"])
def test_code_in_a_process_of_its_own_is_mapped_over_grpc_too_and_no_map_makes_an_answer_of_none(rig, tmp_path, behaviour):
    plain = code_package(tmp_path / "v1", behaviour)
    edges = ScoreMap(method="isotonic", scores=(0.0, 1.0), answers=(0.25, 0.75), rows=500)
    unit = msgspec.structs.replace(plain.unit, id="ucalibrated01", calibration=edges)
    rig.publish(table(1, msgspec.structs.replace(plain, unit=unit)))
    rig.renew_lease()
    worker = rig.start("w0", "--grpc-port", "0")
    client = Client(worker.card["grpc_port"])
    rows = [{**row, "age": 13} for row in ROWS] if behaviour == "nan" else ROWS  # what it meets then: gateway_rig.py
    answered, over_grpc = worker.predict(*rows), client.infer(request(*rows))
    client.channel.close()
    if behaviour == "nan":
        assert answered.status_code >= 500
        assert over_grpc[0] in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
    else:
        scores = [one["score"] for one in answered.json()["predictions"]]
        assert all(0.25 <= score <= 0.75 for score in scores)
        (told,) = [each for each in over_grpc.outputs if each.name == "scores"]
        assert [*told.contents.fp64_contents] == pytest.approx(scores, abs=1e-12)
        assert len({*scores}) > 2
    assert worker.stop() == 0


@pytest.mark.parametrize(
    ("scores", "answers", "said"),
    [((0.5, 0.5), (0.1, 0.2), "ascend"), ((0.0, 1.0), (0.9, 0.1), "never fall"), ((0.0, 1.0), (0.0, 1.5), "0 to 1.5"), ((0.0,), (0.0,), "at least two")],
)  # fmt: skip
def test_a_map_that_is_none_is_refused_and_the_table_before_goes_on(rig, units, scores, answers, said):
    plain, calibrated = units
    rig.publish(table(1, plain))
    rig.renew_lease()
    worker = rig.start("w0")
    wrong = msgspec.to_builtins(table(2, calibrated))
    wrong["routes"][0]["champion"]["unit"]["calibration"] |= {"scores": scores, "answers": answers}
    with pytest.raises(msgspec.ValidationError, match=said):
        codec.revive(wrong, RoutingTable)
    (rig.directory / "routing.json").write_bytes(msgspec.json.encode(wrong))
    assert worker.reload().status_code >= 400
    assert worker.predict(ROW).status_code == 200
    assert worker.report().revision == 1
    assert worker.stop() == 0


def test_a_unit_without_one_is_stored_as_it_was_before_there_was_any():
    unit = Unit(id="u1", model="shop", version=1, manifest_digest="m", threshold=None, policy_digest="p")
    assert (
        codec.encode(unit) == b'{"id":"u1","manifest_digest":"m","model":"shop","policy_digest":"p","threshold":null,"version":1}'
    )
    assert np.array_equal(LOWER.of([[0.25], [2.0]]), [[0.1], [1.0]])
