"""Given many requests at once, when they share calls of a model, then each gets its own answer, and none another one's fate."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from gateway_rig import CLIENT, NUMERIC, ROW, SIGNATURE, code_package, onnx_model, package, table

from flyball.records.captured import FailureBatch, PredictionBatch, RefusalBatch
from flyball.records.routing import Arm, Places, share
from flyball.records.unit import Format


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    directory = tmp_path_factory.mktemp("units")
    return [package(directory / f"v{seed}", Format.ONNX, onnx_model(seed)[0], SIGNATURE, version=seed + 1) for seed in range(3)]


def ask(worker, bodies, **more):
    """All bodies at once; the answers in their order."""

    async def run():
        limits = httpx.Limits(max_connections=len(bodies))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{worker.card['port']}",
            headers={"authorization": f"Bearer {CLIENT}"},
            timeout=30,
            limits=limits,
        ) as client:
            await client.get("/v2/health/live")  # what a client does once is not counted to the first request
            return await asyncio.gather(*(client.post("/models/shop/predict", json=body, **more) for body in bodies))

    return asyncio.run(run())


def score_of(age):
    return 1 / (1 + np.exp(-np.float32(age) / 100))


def test_requests_that_share_a_call_get_their_own_answers(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "slow", "slow a row")))
    worker = rig.start()
    answers = ask(
        worker, [{"rows": [{**ROW, "age": age}, {**ROW, "age": age + 0.5}], "ids": [f"{age}-a", f"{age}-b"]} for age in range(64)]
    )
    for age, answer in enumerate(answers):
        given = answer.json()["predictions"]
        assert [each["id"] for each in given] == [f"{age}-a", f"{age}-b"]
        assert [each["score"] for each in given] == pytest.approx([score_of(age), score_of(age + 0.5)], abs=1e-6)
        assert answer.headers["x-flyball-prediction-id"] == f"{age}-a"
    batches = [record for record in rig.captured() if isinstance(record, PredictionBatch)]
    assert sorted(each for record in batches for each in record.ids) == sorted(
        f"{age}-{end}" for age in range(64) for end in "ab"
    )
    assert len(batches) < 64, "a slow model's requests were to share its calls"
    for record in batches:
        for each, age, score in zip(record.ids, record.columns["age"], record.scores, strict=True):
            assert age == int(each[:-2]) + (0.5 if each.endswith("b") else 0)
            assert score[0] == pytest.approx(score_of(age), abs=1e-6)


@pytest.mark.parametrize("behaviour", ["raise", "nan"])
def test_a_request_that_its_model_cannot_answer_fails_alone(rig, tmp_path, behaviour):
    """The model fails whenever there is a thirteen in what it is given."""
    rig.publish(table(1, code_package(tmp_path / "bad", behaviour)))
    worker = rig.start()
    ages = [13 if number % 8 == 3 else number + 20 for number in range(48)]
    answers = ask(worker, [{"rows": [{**ROW, "age": age}]} for age in ages])
    assert {age: {answer.status_code for answer, each in zip(answers, ages, strict=True) if each == age} for age in ages} == {
        age: {503} if age == 13 else {200} for age in ages
    }
    for answer, age in zip(answers, ages, strict=True):
        if age != 13:
            assert answer.json()["predictions"][0]["score"] == pytest.approx(score_of(age), abs=1e-6)
    failures = [record for record in rig.captured() if isinstance(record, FailureBatch)]
    assert sum(record.n for record in failures) == 6
    captured = sorted(age for record in rig.captured() if isinstance(record, PredictionBatch) for age in record.columns["age"])
    assert captured == sorted(age for age in ages if age != 13)


def test_a_request_that_kills_its_worker_costs_the_others_a_wait_and_no_answer(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "bad", "crash")))
    worker = rig.start("w0", "--deadline-seconds", "15")
    ages = [number + 20 for number in range(12)]
    ages[5] = 13
    answers = ask(worker, [{"rows": [{**ROW, "age": age}]} for age in ages])
    assert [answer.status_code for answer in answers] == [503 if age == 13 else 200 for age in ages]


def test_requests_that_kill_their_worker_again_and_again_cost_the_others_no_answer(rig, tmp_path):
    """A restart takes half a second and more, and each of these kills it twice: with the batch that it is in, and alone."""
    rig.publish(table(1, code_package(tmp_path / "bad", "crash")))
    worker = rig.start("w0", "--deadline-seconds", "15")
    for number in range(4):
        ages = [13 if at == 5 else at + 20 for at in range(12)]
        answers = ask(worker, [{"rows": [{**ROW, "age": age}]} for age in ages])
        assert [answer.status_code for answer in answers] == [503 if age == 13 else 200 for age in ages], number
        worker.predict({**ROW, "age": 13})
        assert worker.predict(ROW).status_code == 200
    exposed = worker.admin.get("/flyball/metrics").text
    assert 'flyball_queue_rows{model="shop"} 0.0' in exposed


def test_many_requests_that_kill_their_worker_hold_the_others_no_longer_than_two_starts_and_deadlines(rig, tmp_path):
    """A start takes a second and a half: behind twelve that kill it others would wait for twenty."""
    rig.publish(table(1, code_package(tmp_path / "bad", "crash, and load slowly")))
    worker = rig.start("w0", "--deadline-seconds", "2")
    ages = [13 if at % 2 == 1 else at + 20 for at in range(24)]
    with ThreadPoolExecutor(1) as beside:
        beside.submit(worker.predict, ROW, ROW)  # half a second, in which all others come together
        time.sleep(0.1)
        began = time.monotonic()
        answers = ask(worker, [{"rows": [{**ROW, "age": age}]} for age in ages])
        took = time.monotonic() - began
    assert took < 14
    good = [answer for answer, age in zip(answers, ages, strict=True) if age != 13]
    assert {answer.status_code for answer in good} == {200, 503}
    assert {answer.headers["retry-after"] for answer in good if answer.status_code == 503} == {"1"}
    deadline = time.monotonic() + 10
    while worker.predict(ROW).status_code != 200:
        assert time.monotonic() < deadline, "nobody kills it any more"
        time.sleep(0.2)


def test_a_unit_that_dies_takes_no_time_from_the_one_that_stands_in_for_it(rig, tmp_path):
    rig.publish(
        table(
            1,
            code_package(tmp_path / "bad", "crash, and load slowly"),
            fallback=code_package(tmp_path / "good", "good"),
        )
    )
    worker = rig.start("w0", "--deadline-seconds", "2")
    answers = ask(worker, [{"rows": [{**ROW, "age": 13 if at % 2 else at + 20}]} for at in range(12)])
    assert {answer.status_code for answer in answers} == {200}
    late = ask(worker, [{"rows": [{**ROW, "age": at + 20}]} for at in range(10)], headers={"x-flyball-timeout-ms": "5000"})
    assert {answer.status_code for answer in late} == {200}, "nobody who has another to ask is refused for a start"


def test_a_bad_row_is_refused_before_it_can_share_anything(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "good", "good")))
    worker = rig.start()
    bodies = [{"rows": [{**ROW, "age": "old" if number % 2 else number}]} for number in range(40)]
    answers = ask(worker, bodies)
    assert [answer.status_code for answer in answers] == [422 if number % 2 else 200 for number in range(40)]
    assert all(answer.json()["faults"][0]["field"] == "age" for answer in answers[1::2])


def test_where_the_champion_breaks_the_fallback_answers_and_the_champion_is_left_alone(rig, tmp_path, units):
    champion = code_package(tmp_path / "bad", "raise")
    rig.publish(table(1, champion, fallback=units[0]))
    worker = rig.start()
    for _ in range(12):
        answer = worker.predict({**ROW, "age": 13}).json()
        assert answer["unit"] == units[0].unit.id
    failures = [record.reason for record in rig.captured() if isinstance(record, FailureBatch)]
    assert len(failures) == 12
    assert any("is not asked for now" in reason for reason in failures)
    exposed = worker.admin.get("/flyball/metrics").text
    assert f'flyball_circuit_open{{model="shop",unit="{champion.unit.id}"}} 1.0' in exposed
    assert f'flyball_circuit_open{{model="shop",unit="{units[0].unit.id}"}} 0.0' in exposed
    assert 'flyball_queue_rows{model="shop"} 0.0' in exposed
    assert {record.role for record in rig.captured() if isinstance(record, PredictionBatch)} == {"fallback"}


def test_arms_share_the_keys_as_their_weights_say_and_a_canary_goes_before_them(rig, units):
    champion, canary, arm = units
    rig.publish(table(1, champion, canary=canary, canary_weight=0.1, salt="r", arms=(Arm(unit=arm, weight=0.5),), arms_salt="x"))
    rig.renew_lease()
    worker = rig.start()
    keys = [f"k-{number}" for number in range(1000)]
    given = worker.predict(*[ROW] * 1000, keys=keys).json()["predictions"]

    def expected(key):
        if Places("r").of(key) < share(0.1):
            return canary.unit.id
        return arm.unit.id if Places("x").of(key) < share(0.5) else champion.unit.id

    assert [each["unit"] for each in given] == [expected(key) for key in keys]
    assert {record.role for record in rig.captured()} == {"champion", "canary", "arm"}
    counts = {unit.unit.id: sum(each["unit"] == unit.unit.id for each in given) for unit in units}
    assert 60 < counts[canary.unit.id] < 140
    assert 380 < counts[arm.unit.id] < 520


def test_a_deadline_that_passes_is_told_in_time_and_nothing_begins_after_it(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "slow", "slow for two")))
    worker = rig.start()
    begin = time.monotonic()
    answer = worker.http.post(
        "/models/shop/predict", json={"rows": [{**ROW, "age": 13}]}, headers={"x-flyball-timeout-ms": "200"}
    )
    assert time.monotonic() - begin < 1.2
    assert answer.status_code == 504
    assert "deadline" in answer.json()["detail"]
    late = worker.http.post("/models/shop/predict", json={"rows": [ROW]}, headers={"x-envoy-expected-rq-timeout-ms": "0"})
    assert late.status_code == 504
    for name, longer in (
        ("x-flyball-timeout-ms", "x-envoy-expected-rq-timeout-ms"),
        ("x-envoy-expected-rq-timeout-ms", "x-flyball-timeout-ms"),
    ):
        for headers in ({name: "0", longer: "60000"}, {longer: "60000", name: "0"}):
            assert worker.http.post("/models/shop/predict", json={"rows": [ROW]}, headers=headers).status_code == 504, headers
    time.sleep(2.2)
    shown = [each for record in rig.captured() if isinstance(record, PredictionBatch) for each in record.columns["age"]]
    assert 41.5 not in shown
    for wrong in ("soon", "-1", "1e3", "99999999999"):
        refused = worker.http.post("/models/shop/predict", json={"rows": [ROW]}, headers={"x-flyball-timeout-ms": wrong})
        assert refused.status_code == 400
        assert "milliseconds" in refused.json()["detail"]


def test_a_canary_that_hangs_leaves_the_champion_time_within_the_deadline(rig, tmp_path, units):
    hanging = code_package(tmp_path / "bad", "hang")
    rig.publish(table(1, units[0], canary=hanging, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start("w0", "--deadline-seconds", "20")
    begin = time.monotonic()
    answer = worker.http.post(
        "/models/shop/predict", json={"rows": [{**ROW, "age": 13}]}, headers={"x-flyball-timeout-ms": "1000"}
    )
    assert time.monotonic() - begin < 1.1
    assert answer.status_code == 200
    assert answer.json()["unit"] == units[0].unit.id


def test_more_than_a_model_can_answer_in_time_is_refused_at_once(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "slow", "slow")))
    worker = rig.start()
    assert worker.predict({**ROW, "age": 13}).status_code == 200
    answers = ask(worker, [{"rows": [{**ROW, "age": 13}]} for _ in range(20)])
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert max(answer.elapsed.total_seconds() for answer in refused) < 0.9  # who waits for a call waits a second
    exposed = worker.admin.get("/flyball/metrics").text
    assert f'flyball_shed_requests_total{{model="shop",reason="queue"}} {len(refused)}.0' in exposed
    assert worker.stop() == 0
    told = [each for record in rig.captured() if isinstance(record, RefusalBatch) for each in record.refused]
    assert {(each.reason, each.status, each.field, each.fault) for each in told} == {("Overloaded", 429, "", "")}
    assert sum(each.requests for each in told) == len(refused)


def test_how_slow_a_model_is_and_who_has_its_large_turn_outlive_a_routing_table(rig, tmp_path):
    slow = code_package(tmp_path / "slow", "slow")
    rig.publish(table(1, slow))
    worker = rig.start()
    assert worker.predict({**ROW, "age": 13}).status_code == 200
    rig.publish(table(2, slow))
    assert worker.reload().status_code == 200
    answers = ask(worker, [{"rows": [{**ROW, "age": 13}]} for _ in range(20)])
    assert {answer.status_code for answer in answers} == {200, 429}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(worker.http.post, "/models/shop/predict", json=large(3000))
        time.sleep(0.5)
        rig.publish(table(3, slow))
        assert worker.reload().status_code == 200
        second = worker.http.post("/models/shop/predict", json=large(2000), headers={"x-flyball-timeout-ms": "1000"})
        assert (second.status_code, "waited for other large ones" in second.json()["detail"]) == (504, True)
        assert first.result().status_code == 200


def large(n, **last):
    rows = [{**ROW, "age": number % 100} for number in range(n)]
    rows[-1] = {**rows[-1], **last}
    return {"rows": rows, "ids": [f"i{number}" for number in range(n)]}


def test_a_large_request_is_answered_in_slices_as_a_small_one_in_one(rig, units):
    rig.publish(table(1, units[0], canary=units[1], canary_weight=0.3, salt="s"))
    rig.renew_lease()
    worker = rig.start()
    whole = worker.http.post("/models/shop/predict", json=large(5000)).json()
    assert whole["unit"] is None
    assert [each["id"] for each in whole["predictions"]] == [f"i{number}" for number in range(5000)]
    captured = {}
    for record in rig.captured():
        for each, age, score in zip(record.ids, record.columns["age"], record.scores, strict=True):
            captured[each] = (record.unit, age, score[0])
    for number, each in enumerate(whole["predictions"]):
        assert captured.pop(each["id"]) == (each["unit"], number % 100, each["score"])
    assert not captured
    few = worker.predict(*large(100)["rows"], ids=[f"i{number}" for number in range(100)]).json()["predictions"]
    assert few == whole["predictions"][:100]


def test_a_fault_in_the_last_row_of_a_large_request_refuses_all_of_it(rig, units):
    rig.publish(table(1, units[0]))
    worker = rig.start()
    answer = worker.http.post("/models/shop/predict", json=large(5000, visits="many", age=200))
    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json()["faults"]} == {"rows[4999].visits", "rows[4999].age"}
    unknown = worker.http.post("/models/shop/predict", json={**large(3000), "keyz": []})
    assert (unknown.status_code, unknown.json()["faults"][0]["path"]) == (422, "keyz")
    assert rig.captured() == []


def rows_scored(worker):
    exposed = worker.admin.get("/flyball/metrics").text
    return sum(float(line.split()[-1]) for line in exposed.splitlines() if line.startswith("flyball_rows_total{"))


def test_a_large_request_is_not_worked_for_once_its_caller_has_gone_whether_it_is_scored_or_waits(rig, tmp_path):
    """A call of the model takes two seconds, and each of them takes 1,024 rows."""
    rig.publish(table(1, code_package(tmp_path / "slow", "slow for two")))
    worker = rig.start("w0", "--deadline-seconds", "10")
    slow = {"rows": [{**ROW, "age": 13}] * 5000}

    async def run():
        url, headers = f"http://127.0.0.1:{worker.card['port']}", {"authorization": f"Bearer {CLIENT}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            asked = []
            for body, seconds in ((slow, 3), (slow, 1.4), (large(3000), 30)):
                asked.append(asyncio.create_task(client.post("/models/shop/predict", json=body, timeout=seconds)))
                await asyncio.sleep(0.3)
            return await asyncio.gather(*asked, return_exceptions=True)

    begin = time.monotonic()
    *left, stays = asyncio.run(run())
    assert [type(each) for each in left] == [httpx.ReadTimeout] * 2
    assert stays.status_code == 200, stays.text
    assert time.monotonic() - begin < 13  # two calls for the first, and three of its own
    assert rows_scored(worker) == 1024 + 3000
    shown = [each for record in rig.captured() for each in record.ids]
    assert sorted(shown) == sorted(f"i{number}" for number in range(3000))


def test_a_large_request_that_its_model_cannot_answer_hands_over_no_prediction(rig, tmp_path):
    rig.publish(table(1, package(tmp_path / "numeric", Format.ONNX, onnx_of_sum(), NUMERIC)))
    worker = rig.start()
    rows = [{"a": 0.1, "b": 0.1}] * 9000
    assert worker.predict(*rows).status_code == 200
    before = len(rig.captured())
    answer = worker.predict(*rows[:-1], {"a": 3.0e38, "b": 3.0e38})
    assert answer.status_code == 503
    assert not [record for record in rig.captured()[before:] if isinstance(record, PredictionBatch)]


def onnx_of_sum():
    """Answers a + b as a probability: infinite for the largest numbers, which its signature allows."""
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in "ab"]
    output = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    nodes = [
        helper.make_node("Add", ["a", "b"], ["s"]),
        helper.make_node("Mul", ["s", "tiny"], ["m"]),
        helper.make_node("Abs", ["m"], ["p"]),
    ]
    tiny = helper.make_tensor("tiny", TensorProto.FLOAT, [1], [1e-4])
    graph = helper.make_graph(nodes, "sum", inputs, [output], [tiny])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()


def test_shadows_score_what_came_together_in_one_call_and_a_row_that_fails_fails_alone(rig, tmp_path, units):
    shadow = code_package(tmp_path / "bad", "raise")
    rig.publish(table(1, units[0], shadows=(shadow,)))
    worker = rig.start()
    ages = [13 if number == 7 else 20 + number for number in range(30)]
    for age in ages:
        assert worker.predict({**ROW, "age": age}, ids=[f"a{age}"]).status_code == 200
    until = time.monotonic() + 10
    while True:
        records = [record for record in rig.captured() if record.role == "shadow"]
        scored = {
            each: score[0]
            for record in records
            if isinstance(record, PredictionBatch)
            for each, score in zip(record.ids, record.scores, strict=True)
        }
        failed = [record.n for record in records if isinstance(record, FailureBatch)]
        if len(scored) + sum(failed) == 30 or time.monotonic() > until:
            break
        time.sleep(0.05)
    assert scored == {f"a{age}": pytest.approx(score_of(age), abs=1e-6) for age in ages if age != 13}
    assert failed == [1]


@pytest.mark.parametrize("form", ["below", "above"])
def test_a_request_whose_rows_take_longer_than_the_deadline_is_answered_in_calls_that_do_not(rig, tmp_path, form):
    """Two milliseconds a row, a deadline of a second: a call of all 800 rows would end the model's process, and did."""
    rig.publish(table(1, code_package(tmp_path / "slow", "slow a row")))
    worker = rig.start("w0", "--deadline-seconds", "1")
    blanks = " " * (130 * 1024 if form == "above" else 0)  # which way a body is read depends on its bytes
    body = json.dumps({"rows": [ROW] * 800}) + blanks
    answer = worker.http.post("/models/shop/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 800
    assert not [record for record in rig.captured() if isinstance(record, FailureBatch)]
