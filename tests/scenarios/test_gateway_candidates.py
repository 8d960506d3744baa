"""Given a challenger that cannot be trusted, when it is routed beside a champion, then nobody but its release notices."""

import threading
import time

import msgspec
import psutil
from bench.release import misbehaving
from bench.release.candidates import TRIGGER, onnx
from gateway_rig import NUMERIC, OWNER, ROW, SIGNATURE, code_package, onnx_model, package, table

from flyball.records.captured import FailureBatch
from flyball.records.routing import canary_answers
from flyball.records.signature import Column, ColumnType
from flyball.records.unit import Format

BAD = {**ROW, "age": TRIGGER}
SOME = misbehaving.Scale(
    8,
    ("exits", "leaks memory", "None in a row", "a class too many", "sums beyond one", "numbers as text", "times"),
    ("NaN",),
    ("canary",),
)


def good(directory):
    return package(directory, Format.ONNX, onnx_model(0)[0], SIGNATURE)


def test_no_wrong_answer_of_a_candidate_is_shown_and_none_costs_a_client_its_own():
    seen = misbehaving.measure(SOME)
    assert len(seen.cases) == 8
    for case in seen.cases:
        assert (case.shown, case.kept, case.failed) == (0, 0, []), case
        assert case.answered + case.by_candidate == 8, case
    assert sum(case.by_candidate for case in seen.cases if case.behaviour != "leaks memory") == 0
    assert (seen.died, seen.left_over) == (0, 0)


def test_a_loop_in_an_onnx_graph_that_does_not_end_stops_nobody(rig, tmp_path):
    champion = good(tmp_path / "champion")
    canary = package(tmp_path / "loops", Format.ONNX, onnx("hangs", "age"), SIGNATURE)
    rig.publish(table(1, champion, canary=canary, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start("w0", "--deadline-seconds", "0.7")
    assert worker.predict(ROW).json()["unit"] == canary.unit.id
    begin = time.monotonic()
    answer = worker.predict(BAD)
    assert (answer.status_code, answer.json()["unit"]) == (200, champion.unit.id)
    assert time.monotonic() - begin < 3
    until = time.monotonic() + 5
    while psutil.Process(worker.process.pid).cpu_percent(0.3) > 50 and time.monotonic() < until:
        pass
    assert psutil.Process(worker.process.pid).cpu_percent(0.3) < 50, "the loop goes on for nobody"


def test_a_worker_that_starts_beside_a_challenger_that_does_not_load_serves_its_champion(rig, tmp_path):
    champion = good(tmp_path / "champion")
    broken = package(tmp_path / "broken", Format.CODE, b"not a pickle", SIGNATURE)
    rig.publish(table(3, champion, canary=broken, canary_weight=1.0, salt="s", shadows=(champion, broken)))
    rig.renew_lease()
    worker = rig.start()
    answer = worker.predict(ROW)
    assert (answer.status_code, answer.json()["unit"]) == (200, champion.unit.id)
    report = worker.report()
    assert (report.revision, report.fingerprints.keys()) == (3, {champion.unit.id})
    assert "revision 3 is served without" in report.error  # so control does not take the switch for done
    assert broken.unit.id in report.error
    rig.publish(table(4, champion))
    assert worker.reload().status_code == 200
    assert worker.report().error == ""


def test_a_worker_that_starts_beside_a_new_champion_that_does_not_load_serves_the_one_before(rig, tmp_path):
    before = good(tmp_path / "before")
    broken = package(tmp_path / "broken", Format.CODE, b"not a pickle", SIGNATURE)
    rig.publish(table(3, broken, fallback=before, shadows=(before,)))
    worker = rig.start()
    assert worker.predict(ROW).json()["unit"] == before.unit.id
    rig.publish(table(4, broken))
    assert worker.reload().status_code == 503
    assert worker.predict(ROW).json()["unit"] == before.unit.id
    alone = rig.start("w1")
    assert alone.predict(ROW).status_code == 503


WIDE = msgspec.structs.replace(NUMERIC, columns=(*NUMERIC.columns, Column(name="c", type=ColumnType.NUMBER)))


def matrix_of(worker):
    """The names of the metadata, and what is answered to one tensor that has so many columns."""
    metadata = worker.http.get("/v2/models/shop").json()
    names = [each["name"] for each in metadata["inputs"]]
    tensor = {"name": "input-0", "datatype": "FP64", "shape": [1, len(names)], "data": [1.0] * len(names)}
    answer = worker.http.post("/v2/models/shop/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    return names, metadata["parameters"].get("other_inputs"), answer.json()["parameters"]["unit"]


def test_all_columns_as_one_tensor_are_the_champions_where_its_fallback_stands_in(rig, tmp_path):
    before = code_package(tmp_path / "before", signature=NUMERIC)
    rig.publish(table(3, package(tmp_path / "broken", Format.CODE, b"not a pickle", WIDE), fallback=before))
    assert matrix_of(rig.start()) == (["a", "b", "c"], None, before.unit.id)


def test_all_columns_as_one_tensor_are_the_champions_during_a_release(rig, tmp_path):
    champion, canary = code_package(tmp_path / "v1", signature=NUMERIC), code_package(tmp_path / "v2", signature=WIDE)
    rig.publish(table(1, champion, canary=canary, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start()
    assert matrix_of(worker) == (["a", "b"], ["c"], champion.unit.id)  # the canary cannot do without c
    assert worker.predict({"a": 1, "b": 1, "c": 1}).json()["unit"] == canary.unit.id


def test_a_request_of_before_that_a_new_champion_does_not_understand_is_answered_by_the_fallback_and_counts(rig, tmp_path):
    champion, before = code_package(tmp_path / "v2", signature=WIDE), code_package(tmp_path / "v1", signature=NUMERIC)
    rig.publish(table(1, champion, fallback=before, shadows=(before,)))
    worker = rig.start()
    assert worker.predict({"a": 1, "b": 1, "c": 1}).json()["unit"] == champion.unit.id
    answer = worker.predict({"a": 1, "b": 1})
    assert (answer.status_code, answer.json().get("unit")) == (200, before.unit.id)
    assert worker.predict({"b": 1, "c": 1}).status_code == 422  # nobody understands that
    failed = [record for record in rig.captured() if isinstance(record, FailureBatch)]
    assert [(each.unit, each.role, each.answered_by) for each in failed] == [(champion.unit.id, "champion", before.unit.id)]
    assert "needs the column 'c'" in failed[0].reason


def test_a_request_that_names_the_version_and_leaves_a_column_out_is_refused_and_counts_against_nobody(rig, tmp_path):
    champion, before = code_package(tmp_path / "v2", signature=WIDE), code_package(tmp_path / "v1", signature=NUMERIC)
    rig.publish(table(1, champion, fallback=before, shadows=(before,)))
    http = rig.start().http
    url, whole = f"/v2/models/shop/versions/{champion.unit.version}/infer", [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [1.0]} for name in "abc"
    ]  # fmt: skip
    refused = http.post(url, json={"inputs": whole[:2]})
    assert (refused.status_code, "rows[0].c" in refused.text) == (422, True)
    assert http.post(url, json={"inputs": whole}).json()["parameters"]["unit"] == champion.unit.id
    assert http.post("/v2/models/shop/infer", json={"inputs": whole[:2]}).json()["parameters"]["unit"] == before.unit.id
    failed = [record for record in rig.captured() if isinstance(record, FailureBatch)]
    assert [each.answered_by for each in failed] == [before.unit.id]


def test_a_column_that_no_unit_takes_any_more_is_counted_and_not_kept(rig, tmp_path):
    late = tuple(
        Column(name=name, type=kind, missing=True) for name, kind in (("c", ColumnType.NUMBER), ("d", ColumnType.CATEGORY))
    )
    rig.publish(table(1, code_package(tmp_path / "v2", signature=NUMERIC), tolerated=late))
    worker = rig.start()
    assert worker.predict({"a": 1, "b": 1, "c": 0}, {"a": 1, "b": 1, "c": None}).status_code == 200
    tensors = [{"name": name, "datatype": "FP64", "shape": [1], "data": [1.0]} for name in "abc"]
    assert worker.http.post("/v2/models/shop/infer", json={"inputs": tensors}).status_code == 200
    assert worker.predict({"a": 1, "e": 1}).status_code == 422
    assert {name for record in rig.captured() for name in record.columns} == {"a", "b"}
    metrics = worker.http.get("/metrics", headers={"authorization": f"Bearer {OWNER}"}).text
    counted = [line for line in metrics.splitlines() if line.startswith("flyball_tolerated_rows_total")]
    assert [line.partition("}")[2].strip() for line in counted] == ["2.0"]


def test_a_worker_tells_which_unit_fails_again_and_again_and_not_what_it_said_of_a_row(rig, tmp_path):
    champion, canary = good(tmp_path / "champion"), code_package(tmp_path / "raises", "raise")
    rig.publish(table(1, champion, canary=canary, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start()
    for count in range(5):
        assert worker.report().tripped == {}, count
        assert worker.predict({**ROW, "age": 13}).json()["unit"] == champion.unit.id
    tripped = {canary.unit.id: "the model raised ValueError"}
    assert worker.report().tripped == tripped
    rig.publish(table(2, champion, canary=canary, canary_weight=0.9, salt="s"))
    assert worker.reload().status_code == 200
    assert worker.report().tripped == tripped
    young = msgspec.structs.replace(SIGNATURE.columns[0], maximum=50)
    narrow = msgspec.structs.replace(SIGNATURE, columns=(young, *SIGNATURE.columns[1:]))
    champion, canary = (msgspec.structs.replace(each, signature=narrow) for each in (champion, canary))
    rig.publish(table(3, champion, canary=canary, canary_weight=0.9, salt="s"))
    assert worker.reload().status_code == 200
    assert worker.report().tripped == {}, "another signature, and so another model"
    assert worker.predict({**ROW, "age": 60}).status_code == 422


def keys_of(*, canary):
    return [str(number) for number in range(400) if canary_answers(str(number), "s", 0.5) is canary]


def test_a_canary_that_hangs_costs_the_champions_clients_nothing(rig, tmp_path):
    """Both are code, so that every call is made beside the loop, one batch after the other."""
    champion, canary = code_package(tmp_path / "champion"), code_package(tmp_path / "hangs", "hang")
    rig.publish(table(1, champion, canary=canary, canary_weight=0.5, salt="s"))
    rig.renew_lease()
    worker = rig.start("w0", "--deadline-seconds", "5")
    theirs = []

    def ask(key):
        begin = time.monotonic()
        theirs.append((worker.predict({**ROW, "age": 13}, keys=[key]), time.monotonic() - begin))

    clients = [threading.Thread(target=ask, args=(key,)) for key in keys_of(canary=True)[:12]]
    for each in clients:
        each.start()
    slowest, asked = 0.0, 0
    while any(each.is_alive() for each in clients):
        begin = time.monotonic()
        answer = worker.predict(ROW, keys=[keys_of(canary=False)[asked]])
        slowest, asked = max(slowest, time.monotonic() - begin), asked + 1
        assert (answer.status_code, answer.json()["unit"]) == (200, champion.unit.id), answer.text
        time.sleep(0.05)
    assert asked > 10
    assert slowest < 1.8  # who waits for the canary waits two seconds, less the pause before it came
    assert {(answer.status_code, answer.json()["unit"]) for answer, _ in theirs} == {(200, champion.unit.id)}
    assert max(seconds for _, seconds in theirs) < 8
    failed = [each for each in rig.captured() if isinstance(each, FailureBatch)]
    assert sum(each.n for each in failed) == 12
    assert {each.unit for each in failed} == {canary.unit.id}
