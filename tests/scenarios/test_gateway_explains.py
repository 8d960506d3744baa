"""A real gateway that is asked for reasons: they add up to the score, are the same twice, and cost nobody else anything."""

import contextlib
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
from gateway_rig import NUMERIC, ROW, SIGNATURE, code_package, onnx_model, package, table

from flyball.errors import ArtifactDamaged
from flyball.gateway.explaining import MAX_IN_HAND, MAX_ROWS, Explainer
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.records.background import Background
from flyball.records.captured import PredictionBatch
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format

DRAW = np.random.default_rng(11)
BACKGROUND = Background(
    columns={
        "age": tuple(DRAW.uniform(18, 90, 50).astype(np.float32).tolist()),
        "income": tuple(None if at % 7 == 0 else 100.0 * at for at in range(50)),
        "visits": tuple(float(at % 9) for at in range(50)),
        "member": tuple(float(at % 2) for at in range(50)),
        "town": tuple(("Oslo", "Rome")[at % 2] for at in range(50)),
    }
)
ROWS = [ROW, {**ROW, "income": None, "town": "Lima"}, {**ROW, "age": 89.0, "member": False}, {**ROW, "age": 150, "visits": 10**9}]
THREE = Signature(
    task="multiclass", columns=tuple(Column(name=f"f{at}", type=ColumnType.NUMBER) for at in range(10)), classes=("a", "b", "c")
)


def background_of(signature, seed=5):
    draw = np.random.default_rng(seed)
    return Background(
        columns={column.name: tuple(draw.normal(size=50).astype(np.float32).tolist()) for column in signature.columns}
    )


def lightgbm_text():
    import lightgbm

    draw = np.random.default_rng(2)
    matrix = draw.normal(size=(800, 2)).astype(np.float32)
    label = (matrix[:, 0] * matrix[:, 1] > 0).astype(int)
    model = lightgbm.LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1).fit(matrix, label)
    return model.booster_.model_to_string().encode()


def three_classes():
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline

    draw = np.random.default_rng(4)
    names = [column.name for column in THREE.columns]
    frame = pd.DataFrame({name: draw.normal(size=600).astype(np.float32) for name in names})
    label = np.digitize(frame["f0"] + frame["f1"] * frame["f2"], [-0.5, 0.5])
    model = make_pipeline(
        ColumnTransformer([("all", "passthrough", names)]), GradientBoostingClassifier(n_estimators=20, random_state=0)
    ).fit(frame, label)
    kinds = [(name, FloatTensorType([None, 1])) for name in names]
    return to_onnx(model, initial_types=kinds, options={"zipmap": False}).SerializeToString()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("packages")
    content, _ = onnx_model()
    return {
        "onnx": package(directory / "onnx", Format.ONNX, content, SIGNATURE, background=BACKGROUND),
        "code": code_package(directory / "code", background=BACKGROUND),
        "lightgbm": package(directory / "lightgbm", Format.LIGHTGBM, lightgbm_text(), NUMERIC, background=background_of(NUMERIC)),
        "three": package(directory / "three", Format.ONNX, three_classes(), THREE, background=background_of(THREE)),
        "old": package(directory / "old", Format.ONNX, content, SIGNATURE),
        "dies": code_package(directory / "dies", "crash of many", background=BACKGROUND),
        "slow": code_package(directory / "slow", "slow of many", background=BACKGROUND),
    }


def started(rig, champion, **more):
    rig.publish(table(1, champion, **more))
    rig.renew_lease()
    return rig.start("w0")


def explainers(worker):
    found = []
    for each in psutil.Process(worker.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie, too: one that has just ended
            if "flyball.gateway.explain_worker" in each.cmdline():
                found.append(each)
    return found


def adds_up(one, of=None):
    score = one["score"] if of is None else one["scores"][of]
    return one["base"] + sum(one["attributions"].values()) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("form", ["onnx", "code"])
def test_attributions_add_up_to_the_score_and_are_the_same_twice_and_in_other_company(rig, packages, form):
    worker = started(rig, packages[form])
    plain = worker.predict(*ROWS, ids=list("abcd")).json()["predictions"]
    assert not explainers(worker)
    answer = worker.predict(*ROWS, ids=list("abcd"), explain=True)
    assert answer.status_code == 200, answer.text
    told = answer.json()["predictions"]
    assert all(adds_up(one) for one in told)
    assert [list(one["attributions"]) for one in told] == [list(ROW)] * 4
    assert [{name: one[name] for name in without} for one, without in zip(told, plain, strict=True)] == plain
    assert worker.predict(*ROWS, ids=list("abcd"), explain=True).json()["predictions"] == told
    alone = worker.predict(ROWS[2], explain=True).json()["predictions"][0]
    assert (alone["attributions"], alone["base"]) == (told[2]["attributions"], told[2]["base"])
    assert max(told[2]["attributions"], key=lambda name: abs(told[2]["attributions"][name])) in ("age", "member")
    if form == "code":  # it looks at the age alone
        assert all(abs(value) < 1e-12 for name, value in told[3]["attributions"].items() if name != "age")
    captured = [each for each in rig.captured() if isinstance(each, PredictionBatch)]
    assert [each.ids for each in captured[:3]] == [list("abcd")] * 3
    assert len(explainers(worker)) == 1
    assert worker.stop() == 0


def test_a_model_of_more_columns_and_classes_is_explained_for_the_class_that_it_names(rig, packages):
    worker = started(rig, packages["three"])
    draw = np.random.default_rng(0)
    rows = [{f"f{at}": float(value) for at, value in enumerate(draw.normal(size=10))} for _ in range(MAX_ROWS)]
    told = worker.predict(*rows, explain=True).json()["predictions"]
    assert {one["label"] for one in told} == {"a", "b", "c"}
    assert all(adds_up(one, "abc".index(one["label"])) for one in told)
    strength = {name: sum(abs(one["attributions"][name]) for one in told) for name in rows[0]}
    assert set(sorted(strength, key=strength.__getitem__)[-3:]) == {"f0", "f1", "f2"}


def test_the_native_form_of_lightgbm_is_explained_with_a_missing_value(rig, packages):
    worker = started(rig, packages["lightgbm"])
    told = worker.predict({"a": 0.5, "b": None}, {"a": 0.5, "b": 2.0}, explain=True).json()["predictions"]
    assert all(adds_up(one) for one in told)
    assert told[0]["attributions"]["b"] != told[1]["attributions"]["b"]


def test_each_row_is_explained_by_the_unit_that_answered_it(rig, packages):
    worker = started(rig, packages["onnx"], canary=packages["code"], canary_weight=0.5, salt="s")
    told = worker.predict(*ROWS * 8, explain=True).json()["predictions"]
    assert {one["unit"] for one in told} == {packages["onnx"].unit.id, packages["code"].unit.id}
    assert all(adds_up(one) for one in told)
    assert len(explainers(worker)) == 2
    rig.publish(table(2, packages["onnx"]))
    assert worker.reload().status_code == 200
    until = time.monotonic() + 20
    while len(explainers(worker)) > 1:
        assert time.monotonic() < until, "the explainer of a unit that is served no more goes on"
        time.sleep(0.05)


def test_what_cannot_be_explained_is_said_before_it_is_answered(rig, packages):
    worker = started(rig, packages["old"])
    many = worker.predict(*[ROW] * (MAX_ROWS + 1), explain=True)
    assert (many.status_code, many.json()["faults"][0]["expected"]) == (422, f"at most {MAX_ROWS} in a request with explain")
    assert worker.predict(ROW, explain="yes").json()["faults"][0]["field"] == "explain"
    old = worker.predict(ROW, explain=True)
    assert old.status_code == 409
    assert "flyball run" in old.json()["detail"]
    assert not [each for each in rig.captured() if isinstance(each, PredictionBatch)]
    assert worker.predict(ROW, explain=False).status_code == 200


def test_without_shap_the_answer_says_what_to_install(rig, packages, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['shap'] = None")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")]))
    worker = started(rig, packages["onnx"])
    answer = worker.predict(ROW, explain=True)
    assert answer.status_code == 501
    assert "pip install 'flyball[explain]'" in answer.json()["detail"]
    assert worker.predict(ROW).status_code == 200


def test_an_explainer_that_dies_is_a_503_and_its_unit_goes_on_answering(rig, packages):
    worker = started(rig, packages["dies"])
    for _ in range(2):
        answer = worker.predict(ROW, explain=True)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert worker.predict(ROW).status_code == 200


def test_a_killed_explainer_is_started_again(rig, packages):
    worker = started(rig, packages["onnx"])
    assert worker.predict(ROW, explain=True).status_code == 200
    (process,) = explainers(worker)
    os.kill(process.pid, signal.SIGKILL)
    assert worker.predict(ROW, explain=True).status_code == 503
    until = time.monotonic() + 60
    while (answer := worker.predict(ROW, explain=True)).status_code != 200:
        assert answer.status_code == 503
        assert time.monotonic() < until
        time.sleep(0.2)
    assert adds_up(answer.json()["predictions"][0])


def test_more_than_can_wait_are_refused_and_ordinary_requests_are_answered_meanwhile(rig, packages):
    worker = started(rig, packages["slow"])
    assert worker.predict(ROW, explain=True).status_code == 200
    with ThreadPoolExecutor(MAX_IN_HAND + 4) as pool:
        asked = [pool.submit(worker.predict, ROW, explain=True) for _ in range(MAX_IN_HAND + 4)]
        ordinary = [worker.predict(ROW).status_code for _ in range(20)]
        answers = [each.result() for each in asked]
    assert ordinary == [200] * 20
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert all(each.headers["retry-after"] == "1" for each in refused)
    assert {each.status_code for each in answers} <= {200, 429}
    assert sum(each.status_code == 200 for each in answers) >= MAX_IN_HAND


def test_a_deadline_holds_while_a_prediction_is_explained_and_who_has_gone_holds_no_place(rig, packages):
    worker = started(rig, packages["slow"])
    body = {"rows": [ROW], "explain": True}
    begin = time.monotonic()
    late = worker.http.post("/models/shop/predict", json=body, headers={"x-flyball-timeout-ms": "250"})
    assert (late.status_code, "explained" in late.json()["detail"]) == (504, True)
    assert time.monotonic() - begin < 1
    # Its call is not taken back from the explainer, and counts until it has ended: one that waits behind it has seen its end.
    assert worker.predict(ROW, explain=True).status_code == 200
    with ThreadPoolExecutor(MAX_IN_HAND) as pool:
        asked = [pool.submit(worker.http.post, "/models/shop/predict", json=body, timeout=0.3) for _ in range(MAX_IN_HAND)]
        assert all(isinstance(each.exception(), httpx.ReadTimeout) for each in asked)
    answer = worker.predict(ROW, explain=True)
    assert (answer.status_code, adds_up(answer.json()["predictions"][0])) == (200, True)


@pytest.mark.nightly  # half a minute of waiting; test_explaining.py has it with two seconds
def test_what_cannot_be_explained_in_time_is_captured_by_nobody_and_costs_no_process(rig, packages):
    worker = started(rig, packages["slow"])
    assert worker.predict(ROW, explain=True, ids=["first"]).status_code == 200
    (process,) = explainers(worker)
    answer = worker.predict(*[ROW] * MAX_ROWS, explain=True)
    found = re.search(r"(\d+) of 32 rows were explained in 30 s.*at most (\d+)", answer.json()["detail"])
    assert (answer.status_code, found is not None and found[1] == found[2], "retry-after" in answer.headers) == (503, True, False)
    assert worker.predict(ROW, ROW, explain=True, ids=["fewer", "rows"]).status_code == 200
    assert explainers(worker) == [process]
    captured = [name for each in rig.captured() if isinstance(each, PredictionBatch) for name in each.ids]
    assert captured == ["first", "fewer", "rows"]


def test_a_caller_whose_deadline_passes_meanwhile_leaves_no_prediction(rig, packages):
    worker = started(rig, packages["slow"])
    body = {"rows": [ROW] * 4, "explain": True, "ids": list("abcd")}
    late = worker.http.post("/models/shop/predict", json=body, headers={"x-flyball-timeout-ms": "300"})
    assert late.status_code == 504
    assert worker.predict(ROW, explain=True, ids=["e"]).status_code == 200
    assert [each.ids for each in rig.captured() if isinstance(each, PredictionBatch)] == [["e"]]


@pytest.mark.parametrize("beside", ["link", "file"])
def test_an_explainer_is_not_started_beside_code_that_the_manifest_does_not_name(tmp_path, beside):
    served = code_package(tmp_path / "code", background=BACKGROUND)
    code = tmp_path / "code" / "model" / "code"
    code.mkdir(exist_ok=True)
    assert Explainer(served, CodeLimits())._order()["format"] is Format.CODE
    if beside == "link":
        (code / "polars").symlink_to(tmp_path, target_is_directory=True)
    else:
        (code / "polars.py").write_text("")
    with pytest.raises(ArtifactDamaged, match="polars"):
        Explainer(served, CodeLimits())._order()
