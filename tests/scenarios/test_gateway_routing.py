"""Given a routing table, when requests come, then the right unit answers, and another one where it fails."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from gateway_rig import NUMERIC, ROW, SIGNATURE, code_package, onnx_model, package, table

from flyball.adapters.heartbeat import LeaseFile
from flyball.records.captured import FailureBatch, PredictionBatch
from flyball.records.routing import canary_answers
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format

KEYS = [f"customer-{number}" for number in range(400)]


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    directory = tmp_path_factory.mktemp("units")
    return [package(directory / f"v{seed}", Format.ONNX, onnx_model(seed)[0], SIGNATURE, version=seed + 1) for seed in range(3)]


def answered_by(worker, keys):
    answer = worker.predict(*[ROW] * len(keys), keys=keys).json()
    return {key: each["unit"] for key, each in zip(keys, answer["predictions"], strict=True)}


def test_a_canary_gets_its_share_sticky_by_key_only_while_the_lease_is_held(rig, units):
    champion, canary = units[:2]
    rig.publish(table(1, champion, canary=canary, canary_weight=0.1, salt="r-1"))
    worker = rig.start()
    assert set(answered_by(worker, KEYS).values()) == {champion.unit.id}
    assert worker.report().canary_suspended
    rig.renew_lease()
    at_ten = answered_by(worker, KEYS)
    assert not worker.report().canary_suspended
    assert at_ten == {key: (canary if canary_answers(key, "r-1", 0.1) else champion).unit.id for key in KEYS}
    assert answered_by(worker, KEYS) == at_ten
    rig.publish(table(2, champion, canary=canary, canary_weight=0.5, salt="r-1"))
    assert worker.reload().status_code == 200
    at_half = answered_by(worker, KEYS)
    assert {key for key in KEYS if at_ten[key] == canary.unit.id} < {key for key in KEYS if at_half[key] == canary.unit.id}
    os.utime(rig.directory / "lease", (0, time.time() - 31))
    time.sleep(0.6)
    assert set(answered_by(worker, KEYS).values()) == {champion.unit.id}
    assert worker.report().canary_suspended
    one = worker.predict(ROW)
    assert one.headers["x-flyball-unit"] == champion.unit.id


def test_mixed_answers_name_their_units_and_are_captured_apart(rig, units):
    champion, canary = units[:2]
    rig.publish(table(1, champion, canary=canary, canary_weight=0.5, salt="r-1"))
    rig.renew_lease()
    worker = rig.start()
    rows = [{**ROW, "age": 20 + number} for number in range(40)]
    answer = worker.predict(*rows, keys=KEYS[:40]).json()
    assert answer["unit"] is None
    records = {each.unit: each for each in rig.captured()}
    assert {records[champion.unit.id].role, records[canary.unit.id].role} == {"champion", "canary"}
    captured = {
        i: (record.unit, s[0], a)
        for record in records.values()
        for i, s, a in zip(record.ids, record.scores, record.columns["age"], strict=True)
    }
    for row, each in zip(rows, answer["predictions"], strict=True):
        assert captured[each["id"]] == (each["unit"], each["score"], row["age"])


@pytest.mark.parametrize("behaviour", ["raise", "nan", "shape", "range"])
def test_where_a_canary_fails_the_champion_answers(rig, units, tmp_path, behaviour):
    champion, canary = units[0], code_package(tmp_path / "bad", behaviour)
    rig.publish(table(1, champion, canary=canary, canary_weight=0.5, salt="s", shadows=(champion, canary)))
    rig.renew_lease()
    worker = rig.start()
    answer = worker.predict(*[{**ROW, "age": 13}] * 20, keys=KEYS[:20])
    assert answer.status_code == 200
    assert answer.json()["unit"] == champion.unit.id
    failures = [each for each in rig.captured() if isinstance(each, FailureBatch) and each.role == "canary"]
    expected = sum(canary_answers(key, "s", 0.5) for key in KEYS[:20])
    assert [(each.unit, each.n, each.answered_by) for each in failures] == [(canary.unit.id, expected, champion.unit.id)]


def test_where_a_champion_fails_the_client_is_told_and_it_is_captured(rig, tmp_path):
    champion = code_package(tmp_path / "bad", "raise")
    rig.publish(table(1, champion))
    worker = rig.start()
    answer = worker.predict({**ROW, "age": 13}, ROW)
    assert answer.status_code == 503
    assert "no thirteens" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    (failure,) = rig.captured()
    assert (failure.n, failure.role, failure.answered_by) == (2, "champion", None)
    assert worker.predict(ROW).status_code == 200


def test_shadows_score_what_they_did_not_answer(rig, units):
    champion, canary = units[:2]
    rig.publish(table(1, champion, canary=canary, canary_weight=0.5, salt="s", shadows=(champion, canary)))
    rig.renew_lease()
    worker = rig.start()
    answer = worker.predict(*[ROW] * 30, keys=KEYS[:30]).json()
    until = time.monotonic() + 5
    while len(rig.captured()) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    shown = {each["id"]: each["unit"] for each in answer["predictions"]}
    scored = {}
    for record in rig.captured():
        assert isinstance(record, PredictionBatch)
        for each in record.ids:
            scored.setdefault(each, []).append((record.unit, record.role))
            if record.role == "shadow":
                assert record.columns == {}
                assert record.unit != shown[each]
    assert all(len(each) == 2 and len({unit for unit, _ in each}) == 2 for each in scored.values())
    assert set(scored) == set(shown)


def test_shadows_of_many_small_requests_are_captured_together_and_within_a_tenth_of_a_second_of_what_was_shown(rig, units):
    rig.publish(table(1, units[0], shadows=(units[1],)))
    worker = rig.start()
    for number in range(60):
        assert worker.predict({**ROW, "age": 20 + number}, ids=[f"m{number}"]).status_code == 200
    until = time.monotonic() + 5
    while True:
        shown, shadowed = ([each for each in rig.captured() if (each.role == "shadow") == wanted] for wanted in (False, True))
        if sum(len(each.ids) for each in shadowed) == 60 or time.monotonic() > until:
            break
        time.sleep(0.02)
    assert [each for record in shadowed for each in record.ids] == [f"m{number}" for number in range(60)]
    assert len(shadowed) < 30
    shown_at = {each: record.at_us for record in shown for each in record.ids}
    for record in shadowed:
        assert record.ids == record.keys
        assert all(0 <= shown_at[each] - record.at_us <= 100_000 for each in record.ids)
    expected = worker.admin.get("/flyball/metrics").text
    assert f'flyball_rows_total{{model="shop",role="shadow",unit="{units[1].unit.id}"}} 60.0' in expected


def test_shadows_of_models_that_answer_others_as_well_hold_up_none_of_them(rig, tmp_path):
    """A row takes the canary 6 ms, and clients ask without a pause: ten rows waited for a shadow of ninety in the same process and were late, and the model
    looked broken to whoever judges its release."""
    champion, canary = (code_package(tmp_path / name, name) for name in ("slow a row", "slower a row"))
    rig.publish(table(1, champion, canary=canary, canary_weight=0.1, salt="s", shadows=(champion, canary)))
    rig.renew_lease()
    worker = rig.start("w0", "--lease-seconds", "60")
    for number in range(6):
        body = {"rows": [ROW] * 300, "keys": [f"k{number}-{at}" for at in range(300)]}
        answer = worker.http.post("/models/shop/predict", json=body, headers={"x-flyball-timeout-ms": "2400"})
        assert answer.status_code == 200, answer.text
    assert not [record for record in rig.captured() if isinstance(record, FailureBatch)]
    until = time.monotonic() + 30
    while sum(len(record.ids) for record in rig.captured() if record.role == "shadow") < 100:
        assert time.monotonic() < until, "nobody asks any more, and the shadows do not score"
        time.sleep(0.05)


def test_on_a_simulated_clock_event_time_is_the_requests_and_shadows_come_before_the_answer(rig, units):
    champion, shadow = units[:2]
    rig.publish(table(1, champion, shadows=(shadow,)))
    worker = rig.start("w0", "--clock", "request")
    assert worker.predict(ROW).status_code == 422
    worker.http.headers["x-flyball-event-time"] = "2013-03-01T05:00:00Z"
    for at in range(20):
        assert worker.predict(ROW, ids=[f"f{at}"]).status_code == 200
        assert [(each.role, each.ids) for each in rig.captured()[-2:]] == [("champion", [f"f{at}"]), ("shadow", [f"f{at}"])]
    worker.http.post("/models/shop/labels", json={"labels": [{"id": "f1", "label": "no"}]})
    assert {each.at_us for each in rig.captured()} == {1362114000000000}


def test_in_system_mode_the_event_time_header_is_ignored(rig, units):
    rig.publish(table(1, units[0]))
    worker = rig.start()
    worker.http.headers["x-flyball-event-time"] = "2013-03-01T05:00:00Z"
    worker.predict(ROW)
    assert abs(rig.captured()[-1].at_us / 1e6 - time.time()) < 60


def test_a_challenger_with_another_column_is_tried_only_where_the_request_brings_it(rig, tmp_path, units):
    wider = Signature(
        task="binary", columns=(*SIGNATURE.columns, Column(name="hour", type=ColumnType.NUMBER)), classes=("no", "yes")
    )
    canary = code_package(tmp_path / "wider", "good", wider)
    rig.publish(table(1, units[0], canary=canary, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start()
    assert worker.predict(ROW).json()["unit"] == units[0].unit.id
    assert worker.predict({**ROW, "hour": 3}).json()["unit"] == canary.unit.id
    assert [each.role for each in rig.captured()] == ["canary", "champion", "canary"] or isinstance(
        rig.captured()[0], FailureBatch
    )


def test_a_lightgbm_model_is_served_as_it_predicts(rig, tmp_path):
    import lightgbm
    import numpy as np

    draw = np.random.default_rng(1)
    X = draw.normal(size=(300, 2)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, y), 10)
    unit = package(tmp_path / "lgb", Format.LIGHTGBM, booster.model_to_string().encode(), NUMERIC)
    rig.publish(table(1, unit))
    worker = rig.start()
    answer = worker.predict(*[{"a": float(a), "b": float(b)} for a, b in X[:50]], {"a": 1.0, "b": None}).json()
    expected = booster.predict(np.vstack([X[:50], [[1.0, np.nan]]]))
    assert [each["score"] for each in answer["predictions"]] == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize("damage", ["model", "manifest", "signature", "absent", "link", "linked code", "other"])
def test_a_package_whose_bytes_do_not_match_is_never_served(rig, units, tmp_path, damage):
    good = units[0]
    bad = package(tmp_path / "bad", Format.ONNX, onnx_model(5)[0], SIGNATURE)
    model = tmp_path / "bad" / "model" / "model.onnx"
    if damage == "model":
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
    elif damage == "manifest":
        manifest = json.loads((tmp_path / "bad" / "manifest.json").read_text())
        del manifest["files"]["lineage.json"]
        (tmp_path / "bad" / "manifest.json").write_text(json.dumps(manifest))
    elif damage == "signature":
        (tmp_path / "bad" / "signature.json").write_text("{}")
    elif damage == "absent":
        model.unlink()
    elif damage == "link":
        model.rename(tmp_path / "elsewhere")
        model.symlink_to(tmp_path / "elsewhere")
    elif damage == "linked code":
        (tmp_path / "bad" / "model" / "code").mkdir()
        (tmp_path / "bad" / "model" / "code" / "polars").symlink_to(tmp_path, target_is_directory=True)
    elif damage == "other":
        bad = package(tmp_path / "bad", Format.ONNX, b"not a model", SIGNATURE)
    rig.publish(table(1, good))
    worker = rig.start()
    rig.publish(table(2, bad))
    answer = worker.reload()
    assert answer.status_code == 503
    report = worker.report()
    assert (report.revision, report.error != "") == (1, True)
    assert worker.predict(ROW).json()["unit"] == good.unit.id
    rig.publish(table(3, good))
    assert worker.reload().status_code == 200
    assert (worker.report().revision, worker.report().error) == (3, "")
    assert worker.report().fingerprints == {good.unit.id: good.unit.manifest_digest}


def test_a_worker_serves_only_the_models_it_was_started_for(rig, units):
    rig.publish(table(1, units[0]))
    worker = rig.start("w0", "--model", "other")
    assert worker.http.get("/v2/health/ready").status_code == 200
    assert worker.predict(ROW).status_code == 404
    assert worker.report().fingerprints == {}


def test_an_older_table_is_refused_and_a_new_one_is_found_without_being_told(rig, units):
    rig.publish(table(5, units[0]))
    worker = rig.start()
    rig.publish(table(4, units[1]))
    assert worker.reload().status_code == 409
    assert worker.report().revision == 5
    rig.publish(table(5, units[1]))
    assert worker.reload().status_code == 409
    rig.publish(table(6, units[1]))
    until = time.monotonic() + 5
    while worker.report().revision != 6 and time.monotonic() < until:
        time.sleep(0.05)
    assert worker.predict(ROW).json()["unit"] == units[1].unit.id


def test_a_gateway_without_a_table_is_alive_and_not_ready(rig, units):
    worker = rig.start()
    assert worker.http.get("/v2/health/live").status_code == 200
    assert worker.http.get("/v2/health/ready").status_code == 503
    why, stranger = (worker.http.get("/v2/health/ready", headers=host) for host in ({}, {"host": "rebound.test"}))
    assert (stranger.status_code, "routing" in why.text, "routing" in stranger.text) == (503, True, False)
    assert worker.predict(ROW).status_code == 503
    rig.publish(table(1, units[0]))
    assert worker.reload().status_code == 200
    assert worker.http.get("/v2/health/ready").status_code == 200


def test_on_a_simulated_clock_many_tensor_rows_have_their_shadows_too(rig, units):
    champion, shadow = units[:2]
    rig.publish(table(1, champion, shadows=(shadow,)))
    worker = rig.start("w0", "--clock", "request")
    worker.http.headers["x-flyball-event-time"] = "2013-03-01T05:00:00Z"
    n = 1200
    values = {
        "age": ("FP32", 40.0),
        "income": ("FP32", 9.0),
        "visits": ("INT64", 2),
        "member": ("BOOL", True),
        "town": ("BYTES", "Oslo"),
    }
    inputs = [{"name": name, "datatype": kind, "shape": [n], "data": [value] * n} for name, (kind, value) in values.items()]
    assert worker.http.post("/v2/models/shop/infer", json={"inputs": inputs}).status_code == 200
    scored = {role: sum(len(each.ids) for each in rig.captured() if each.role == role) for role in ("champion", "shadow")}
    assert scored == {"champion": n, "shadow": n}


@pytest.mark.parametrize("hours", [2, -2])
def test_answers_and_labels_are_of_the_controllers_time_where_a_clock_was_set(rig, units, hours):
    """A release counts what lies between its controller's moments: after a step of the machine's clock it saw 0 of 50 rows of a canary that failed."""
    told = LeaseFile(rig.directory, lambda: datetime.now(UTC) + timedelta(hours=hours))
    rig.publish(table(1, units[0], canary=units[1], canary_weight=0.5))
    told.renew_lease()
    worker = rig.start()
    try:
        began = datetime.now(UTC) + timedelta(hours=hours)
        ids = [each["id"] for each in worker.predict(ROW, ROW).json()["predictions"]]
        labels = {"labels": [{"id": each, "label": "yes"} for each in ids]}
        assert worker.http.post("/models/shop/labels", json=labels).status_code in (200, 202)
    finally:
        worker.stop()
    records = rig.captured()
    assert {type(each).__name__ for each in records} == {"PredictionBatch", "LabelBatch"}
    for each in records:
        assert abs(datetime.fromtimestamp(each.at_us / 1e6, UTC) - began) < timedelta(seconds=20)
