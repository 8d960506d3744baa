"""Given callers that leave or give up early, when their work goes on behind them, then nobody else is harmed by it."""

import asyncio
import resource
import socket
import time

import httpx
import msgspec
import pytest
from gateway_rig import CLIENT, ROW, SIGNATURE, code_package, onnx_model, package, table

from flyball.records.captured import PredictionBatch
from flyball.records.routing import Route
from flyball.records.unit import Format


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return package(tmp_path_factory.mktemp("unit") / "v1", Format.ONNX, onnx_model(1)[0], SIGNATURE)


def impatient(worker, milliseconds, **row):
    return worker.http.post(
        "/models/shop/predict", json={"rows": [{**ROW, **row}]}, headers={"x-flyball-timeout-ms": str(milliseconds)}
    )


def test_a_model_whose_caller_left_during_a_swap_stays_loaded_for_the_table_that_is_live(rig, tmp_path, quick):
    """The call outlives its caller and the table that it was made under."""
    slow = code_package(tmp_path / "slow", "slow")
    rig.publish(table(1, slow, shadows=(quick,)))
    worker = rig.start()
    with pytest.raises(httpx.ReadTimeout):
        worker.http.post("/models/shop/predict", json={"rows": [{**ROW, "age": 13}]}, timeout=0.3)
    rig.publish(table(2, slow, shadows=(quick,), salt="next"))
    assert worker.reload().status_code == 200
    time.sleep(1.5)
    for _ in range(3):
        answer = worker.predict(ROW)
        assert answer.status_code == 200, answer.text
    assert worker.process.poll() is None
    until = time.monotonic() + 10
    while (roles := {record.role for record in rig.captured() if isinstance(record, PredictionBatch)}) != {"champion", "shadow"}:
        assert time.monotonic() < until, roles
        time.sleep(0.05)


def together(worker, asked):
    """(milliseconds or None, row) each, while the model is busy with a request before them; the answers in their order, the one before first. They come one
    after the other: connections that are opened at once are taken in any order."""

    async def run():
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{worker.card['port']}", headers={"authorization": f"Bearer {CLIENT}"}, timeout=30
        ) as client:
            await client.get("/v2/health/live")  # so that nothing is imported below
            begun = []
            for given, row in [(None, {**ROW, "age": 13}), *asked]:
                headers = {} if given is None else {"x-flyball-timeout-ms": str(given)}
                begun.append(asyncio.create_task(client.post("/models/shop/predict", json={"rows": [row]}, headers=headers)))
                await asyncio.sleep(0.1)
            return [await each for each in begun]

    return asyncio.run(run())


def test_who_gives_up_early_takes_nobody_along_who_shares_the_call(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "slow", "slow")))
    worker = rig.start()
    answers = together(worker, [(None, {**ROW, "age": 13}), (900, ROW), *[(None, ROW)] * 4])
    assert [answer.status_code for answer in answers] == [200, 200, 504, 200, 200, 200, 200]


def test_a_client_with_short_deadlines_does_not_cut_a_unit_off_from_all_others(rig, tmp_path, quick):
    slow = code_package(tmp_path / "slow", "slow")
    rig.publish(table(1, slow, fallback=quick))
    worker = rig.start()
    for _ in range(6):
        impatient(worker, 5, age=13)
        time.sleep(1.1)
    assert worker.predict(ROW).json()["unit"] == slow.unit.id


def test_a_slow_canary_is_not_cut_off_for_the_half_of_a_deadline_that_is_kept_for_its_champion(rig, tmp_path, quick):
    slow = code_package(tmp_path / "slow", "always slow")
    rig.publish(table(1, quick, canary=slow, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start()
    for _ in range(6):
        hasty = worker.http.post("/models/shop/predict", json={"rows": [ROW]}, headers={"x-flyball-timeout-ms": "2200"})
        assert (hasty.status_code, hasty.json()["unit"]) == (200, quick.unit.id)
        assert worker.report().tripped == {}
    time.sleep(1.5)
    rig.renew_lease()
    assert worker.predict(ROW).json()["unit"] == slow.unit.id


def test_more_idle_connections_than_there_are_descriptors_do_not_end_a_worker(rig, quick):
    rig.publish(table(1, quick))
    worker = rig.start()
    assert worker.predict(ROW).status_code == 200
    resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    idle = [socket.create_connection(("127.0.0.1", worker.card["port"])) for _ in range(100)]
    until = time.monotonic() + 3.0  # three times as long as capture is brought to the disk
    while time.monotonic() < until:
        assert worker.predict(ROW).status_code == 200
        time.sleep(0.1)
    for each in idle:
        each.close()
    assert worker.process.poll() is None


def test_a_package_that_is_nested_without_end_is_refused_and_leaves_the_table_before(rig, quick):
    rig.publish(table(1, quick))
    worker = rig.start()
    other = msgspec.structs.replace(quick.unit, manifest_digest="0" * 64)
    bottomless = rig.directory / "bottomless"
    bottomless.mkdir()
    (bottomless / "manifest.json").write_bytes(b'{"x":' + b"[" * 100_000)
    rig.publish(table(2, msgspec.structs.replace(quick, unit=other, package=str(bottomless))))
    refused = worker.reload()
    assert refused.status_code == 503
    assert "cannot be read: it cannot be" in refused.json()["detail"]
    time.sleep(0.6)
    assert worker.predict(ROW).status_code == 200
    assert worker.report().revision == 1


def test_a_model_that_could_not_be_started_again_at_once_is_started_when_it_can(rig, tmp_path):
    rig.publish(table(1, code_package(tmp_path / "bad", "crash")))
    worker = rig.start()
    assert worker.predict(ROW).status_code == 200
    resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    idle = [socket.create_connection(("127.0.0.1", worker.card["port"])) for _ in range(100)]
    time.sleep(0.3)
    assert worker.predict({**ROW, "age": 13}).status_code == 503
    time.sleep(1.0)  # it is tried, and there is no descriptor for its pipes
    for each in idle:
        each.close()
    until = time.monotonic() + 20
    while worker.predict(ROW).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize("piece", [b"a" * 8192, b"x-a: b\r\n" * 1024])
def test_headers_without_an_end_are_refused_before_they_fill_the_memory(rig, quick, piece):
    rig.publish(table(1, quick))
    worker = rig.start()
    with socket.create_connection(("127.0.0.1", worker.card["port"]), timeout=10) as stranger:
        stranger.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nx-a: ")
        for _ in range(9):
            stranger.sendall(piece)
            time.sleep(0.02)
        assert b" 431 " in stranger.recv(1000).split(b"\r\n")[0]
        assert stranger.recv(1000) == b""
    padded = worker.http.get("/v2/health/live", headers={"x-padding": "a" * 60_000})
    assert padded.status_code == 200


def test_large_requests_of_a_slow_model_hold_up_those_of_no_other_and_their_own_until_the_deadline_only(rig, tmp_path, quick):
    slow = code_package(tmp_path / "slow", "slow")
    both = Route(model="shop", champion=slow), Route(model="quick", champion=quick)
    rig.publish(msgspec.structs.replace(table(1, slow), routes=both))
    worker = rig.start()
    rows = {"rows": [{**ROW, "age": 13}] * 5000}  # five slices of a second

    async def run():
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{worker.card['port']}", headers={"authorization": f"Bearer {CLIENT}"}, timeout=30
        ) as client:
            await client.get("/v2/health/live")
            first = asyncio.create_task(client.post("/models/shop/predict", json=rows))
            await asyncio.sleep(0.5)
            hasty = client.post("/models/shop/predict", json=rows, headers={"x-flyball-timeout-ms": "500"})
            others = await asyncio.gather(client.post("/models/quick/predict", json=rows), hasty)
            return first.done(), [each.status_code for each in others], (await first).status_code

    assert asyncio.run(run()) == (False, [200, 504], 200)
