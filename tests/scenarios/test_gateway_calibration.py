"""A real gateway whose champion is a version's unit with a calibration: one score, wherever it is told."""

import grpc
import msgspec
import numpy as np
import pytest
from gateway_rig import ROW, SIGNATURE, code_package, onnx_model, package, table
from test_gateway_explains import BACKGROUND, THREE, adds_up, background_of, three_classes
from test_gateway_grpc import Client, request

from flyball.records import codec
from flyball.records.captured import PredictionBatch
from flyball.records.maps import ClassMap, ScoreMap, ValueMap
from flyball.records.routing import RoutingTable
from flyball.records.unit import Format, Unit

LOWER = ScoreMap(method="platt", scores=(0.0, 0.5, 1.0), answers=(0.0, 0.2, 1.0), rows=500)
ROWS = [{**ROW, "age": age, "member": member} for age in (20, 35, 50, 65, 80) for member in (False, True)]


@pytest.fixture
def units(tmp_path):
    plain = package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE, threshold=0.3, background=BACKGROUND)
    unit = msgspec.structs.replace(plain.unit, id="ucalibrated01", calibration=LOWER)
    return plain, msgspec.structs.replace(plain, unit=unit)


def before_and_after(rig, first, second, rows):
    """(the worker, what it answers by the first table, and by the second, with reasons)"""
    rig.publish(first)
    rig.renew_lease()
    worker = rig.start("w0")
    before = worker.predict(*rows).json()["predictions"]
    rig.publish(second)
    worker.reload()
    return worker, before, worker.predict(*rows, explain=True).json()["predictions"]


def test_answer_label_capture_open_inference_and_reasons_tell_of_the_same_score(rig, units):
    plain, calibrated = units
    worker, before, answered = before_and_after(rig, table(1, plain, shadows=(calibrated,)), table(2, calibrated), ROWS)
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


AMOUNT = msgspec.structs.replace(THREE, task="regression", classes=())
SHIFTED = ValueMap(level=-5.0, slope=1.5, rows=500)
TURNED = ClassMap(
    classes=tuple(
        ScoreMap(method="platt", scores=(0.0, 0.5, 1.0), answers=(0.0, half, 1.0), rows=500) for half in (0.1, 0.5, 0.8)
    ),
    rows=500,
)
NUMBERS = [{f"f{at}": float(value) for at, value in enumerate(row)} for row in np.random.default_rng(4).normal(size=(12, 10))]


def amounts() -> bytes:
    import lightgbm

    draw = np.random.default_rng(2)
    matrix = draw.normal(size=(800, 10)).astype(np.float32)
    model = lightgbm.LGBMRegressor(n_estimators=30, n_jobs=1, verbose=-1).fit(matrix, 10.0 + 4.0 * matrix[:, 0] * matrix[:, 1])
    return model.booster_.model_to_string().encode()


@pytest.mark.parametrize(("task", "given"), [("regression", SHIFTED), ("multiclass", TURNED)])
def test_numbers_and_probabilities_of_many_classes_are_answered_through_their_maps(rig, tmp_path, task, given):
    kind, content, signature = (
        (Format.LIGHTGBM, amounts(), AMOUNT) if task == "regression" else (Format.ONNX, three_classes(), THREE)
    )
    plain = package(tmp_path / "v1", kind, content, signature, background=background_of(signature))
    mapped = msgspec.structs.replace(plain, unit=msgspec.structs.replace(plain.unit, id="umapped0001", calibration=given))
    worker, before, answered = before_and_after(rig, table(1, plain), table(2, mapped), NUMBERS)
    captured = [each for each in rig.captured() if isinstance(each, PredictionBatch) and each.unit == "umapped0001"]
    kept = np.array([row for each in captured for row in each.scores])
    if task == "regression":
        told, bare = ([[one["score"]] for one in some] for some in (answered, before))
        assert all(one["base"] + sum(one["attributions"].values()) == pytest.approx(one["score"], abs=1e-6) for one in answered)
    else:
        told, bare = ([one["scores"] for one in some] for some in (answered, before))
        assert np.sum(told, axis=1) == pytest.approx(np.ones(len(NUMBERS)))
        assert [one["label"] for one in answered] == ["abc"[int(np.argmax(one["scores"]))] for one in answered]
        assert all(adds_up(one, int(np.argmax(one["scores"]))) for one in answered)
        assert [one["label"] for one in answered] != [one["label"] for one in before]
    assert np.array(told) == pytest.approx(given.of(bare), abs=1e-6)
    assert kept == pytest.approx(np.array(told), abs=1e-9)
    assert worker.stop() == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"kind": "value", "level": 0.0, "slope": 0.0, "rows": 1}, "slope above 0"), ({"kind": "classes", "classes": [], "rows": 1}, "at least two"),
     ({"kind": "linear", "rows": 1}, "linear")],
)  # fmt: skip
def test_a_map_of_another_kind_that_is_none_is_refused(units, wrong, said):
    told = msgspec.to_builtins(table(2, units[1]))
    told["routes"][0]["champion"]["unit"]["calibration"] = wrong
    with pytest.raises(msgspec.ValidationError, match=said):
        codec.revive(told, RoutingTable)
