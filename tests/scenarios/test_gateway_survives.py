"""Given a gateway under load, when workers are killed, models hang or champions change, then nobody gets a wrong answer or none."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Self

import httpx
import psutil
import pytest
from gateway_rig import CLIENT, ROW, SIGNATURE, code_package, onnx_model, package, table, wait_until

from flyball.records.captured import FailureBatch, LabelBatch, PredictionBatch
from flyball.records.routing import canary_answers
from flyball.records.unit import Format


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    directory = tmp_path_factory.mktemp("units")
    return [package(directory / f"v{seed}", Format.ONNX, onnx_model(seed)[0], SIGNATURE, version=seed + 1) for seed in range(2)]


class Load:
    """Clients that never pause; each keeps what it was answered."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port = port
        self.answered: list[tuple[str, str, str]] = []
        self.labelled: list[str] = []
        self.failed: list[str] = []
        self.broken = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _run(self, number: int) -> None:
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers={"authorization": f"Bearer {CLIENT}"}, timeout=30)
        count = 0
        while not self._stop.is_set():
            count += 1
            given = f"c{number}-{count}"
            try:
                answer = client.post("/models/shop/predict", json={"rows": [ROW], "ids": [given]})
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                    continue
                self.answered.append((given, answer.headers["x-flyball-unit"], answer.json()["unit"]))
                if (
                    count % 5 == 0
                    and client.post("/models/shop/labels", json={"labels": [{"id": given, "label": "yes"}]}).status_code == 200
                ):
                    self.labelled.append(given)
            except httpx.TransportError:
                self.broken += 1
        client.close()


def test_kill_9_loses_no_answered_prediction_and_no_acknowledged_label(rig, units):
    rig.publish(table(1, units[0]))
    public = rig.listen()
    kills = 5
    worker = rig.start("w0", fd=public.fileno())
    with Load(public.getsockname()[1]) as load:
        for _ in range(kills):
            time.sleep(0.4)
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
            worker = rig.start("w0", fd=public.fileno())
        time.sleep(0.2)
    records = rig.captured()
    captured = {each for record in records if isinstance(record, PredictionBatch) for each in record.ids}
    labelled = {each for record in records if isinstance(record, LabelBatch) for each in record.ids}
    assert len(load.answered) > 200
    assert {given for given, *_ in load.answered} <= captured
    assert set(load.labelled) <= labelled
    assert load.failed == []
    assert load.broken <= 4 * kills  # only what was under way at a kill


def test_a_worker_that_starts_again_beside_a_full_disk_answers_and_tells_where_it_is_once_it_can(rig, units):
    rig.publish(table(1, units[0]))
    public = rig.listen()
    killed = rig.start(fd=public.fileno())
    killed.process.kill()
    killed.process.wait()
    card = rig.directory / "gateways" / "w0.json"
    program = [sys.executable, "-m", "flyball.gateway", "--state-dir", str(rig.directory), "--worker", "w0"]
    full = ["sh", "-c", 'ulimit -S -f 0; exec "$@"', "sh", *program, "--fd", str(public.fileno())]
    process = subprocess.Popen(full, pass_fds=[public.fileno()], stderr=subprocess.PIPE)
    rig.processes.append(process)
    said = ""
    while "so nobody is told where this worker is" not in said:
        line = process.stderr.readline().decode()
        assert line, said
        said += line
    assert killed.predict(ROW).status_code == 200
    time.sleep(1.2)  # it is tried again each second
    assert json.loads(card.read_text())["pid"] == killed.process.pid
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until = time.monotonic() + 20
    while json.loads(card.read_text())["pid"] != process.pid and time.monotonic() < until:
        time.sleep(0.02)
    assert json.loads(card.read_text())["pid"] == process.pid
    process.terminate()
    said += process.communicate()[1].decode()
    assert said.count("so nobody is told where this worker is") == 1


def test_a_successor_that_can_tell_nobody_where_it_is_leaves_the_place_to_the_worker_before_it(rig, units):
    rig.publish(table(1, units[0]))
    public = rig.listen()
    rig.start(fd=public.fileno())
    program = [sys.executable, "-m", "flyball.gateway", "--state-dir", str(rig.directory), "--worker", "w0", "--must-serve"]
    full = ["sh", "-c", 'ulimit -S -f 0; exec "$@"', "sh", *program, "--fd", str(public.fileno())]
    ended = subprocess.run(full, pass_fds=[public.fileno()], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert b"nobody can be told where this worker is" in ended.stderr


def test_a_champion_is_changed_under_load_without_a_failed_request(rig, units):
    rig.publish(table(1, units[0]))
    worker = rig.start()
    swaps = 40
    with Load(worker.card["port"], clients=3) as load:
        for revision in range(2, swaps + 2):
            rig.publish(table(revision, units[revision % 2]))
            assert worker.reload().status_code == 200
    assert (load.failed, load.broken) == ([], 0)
    assert all(header == body for _, header, body in load.answered)
    by_id = {
        each: (record.unit, record.revision)
        for record in rig.captured()
        if isinstance(record, PredictionBatch)
        for each in record.ids
    }
    for given, header, _ in load.answered:
        unit, revision = by_id[given]
        assert unit == header == (units[0] if revision == 1 else units[revision % 2]).unit.id
    assert {header for _, header, _ in load.answered} == {unit.unit.id for unit in units}
    assert worker.report().fingerprints.keys() == {units[(swaps + 1) % 2].unit.id}


def test_sigterm_of_one_of_two_workers_under_load_fails_no_request(rig, units):
    rig.publish(table(1, units[0]))
    public = rig.listen()
    workers = [rig.start(name, fd=public.fileno()) for name in ("w0", "w1")]
    with Load(public.getsockname()[1], clients=3) as load:
        time.sleep(0.3)
        assert workers[0].stop() == 0
        assert not (rig.directory / "gateways" / "w0.json").exists()
        time.sleep(0.3)
    assert load.failed == []
    assert load.broken <= 1  # HTTP's own race: a request on a kept-alive connection in the moment it is closed
    assert len(load.answered) > 100


def test_readiness_fails_before_anything_is_closed(rig, units):
    rig.publish(table(1, units[0]))
    worker = rig.start("w0", "--drain-seconds", "2.5")
    worker.process.terminate()
    wait_until(lambda: worker.http.get("/v2/health/ready").status_code == 503)
    answer = worker.predict(ROW)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert worker.process.wait(timeout=20) == 0


@pytest.mark.parametrize("behaviour", ["crash", "segfault", "hang", "memory"])
def test_a_code_model_that_dies_hangs_or_hoards_harms_nobody_and_comes_back(rig, tmp_path, units, behaviour):
    canary = code_package(tmp_path / "bad", behaviour)
    rig.publish(table(1, units[0], canary=canary, canary_weight=1.0, salt="s"))
    rig.renew_lease()
    worker = rig.start("w0", "--deadline-seconds", "0.7")
    assert worker.predict(ROW).json()["unit"] == canary.unit.id
    begin = time.monotonic()
    answer = worker.predict({**ROW, "age": 13})
    assert time.monotonic() - begin < 1.5
    assert answer.json()["unit"] == units[0].unit.id
    failure = next(each for each in rig.captured() if isinstance(each, FailureBatch))
    words = {"crash": "exit 7", "segfault": "signal 11", "hang": "deadline", "memory": "MemoryError"}[behaviour]
    assert words in failure.reason
    until = time.monotonic() + 60
    while (found := worker.predict(ROW).json()["unit"]) != canary.unit.id and time.monotonic() < until:
        assert found == units[0].unit.id
        time.sleep(0.1)
    assert found == canary.unit.id


@pytest.mark.parametrize("behaviour", ["slow at first", "slow to load"])
def test_a_killed_worker_that_takes_longer_than_the_deadline_to_begin_comes_back_among_its_callers(rig, tmp_path, behaviour):
    rig.publish(table(1, code_package(tmp_path / "slow", behaviour)))
    worker = rig.start("w0", "--deadline-seconds", "1")
    assert worker.predict(ROW).status_code == 200
    (child,) = psutil.Process(worker.process.pid).children()
    child.kill()
    until = time.monotonic() + 60
    while (answer := worker.predict(ROW)).status_code != 200 and time.monotonic() < until:
        assert (answer.status_code, answer.elapsed.total_seconds() < 3) == (503, True)
    assert answer.status_code == 200, answer.text
    assert len([each for each in rig.captured() if isinstance(each, FailureBatch) and "died" in each.reason]) == 1


def test_a_model_that_is_withdrawn_while_its_worker_starts_again_leaves_no_process_behind(rig, tmp_path, units):
    rig.publish(table(1, code_package(tmp_path / "slow", "slow to load")))
    worker = rig.start()
    (first,) = psutil.Process(worker.process.pid).children()
    first.kill()
    worker.http.headers["x-flyball-timeout-ms"] = "50"
    assert worker.predict(ROW).status_code >= 503
    del worker.http.headers["x-flyball-timeout-ms"]
    until = time.monotonic() + 30
    while not (again := [each for each in psutil.Process(worker.process.pid).children() if each.pid != first.pid]):
        assert time.monotonic() < until
    rig.publish(table(2, units[0]))
    assert worker.reload().status_code == 200
    again[0].wait(timeout=30)


def test_a_hanging_code_model_does_not_hold_up_the_other_models_requests(rig, tmp_path, units):
    hanging = code_package(tmp_path / "bad", "hang")
    rig.publish(table(1, units[0], shadows=(hanging,)))
    worker = rig.start("w0", "--deadline-seconds", "6")
    worker.predict({**ROW, "age": 13})
    slowest = 0.0
    for _ in range(50):
        begin = time.monotonic()
        assert worker.predict(ROW).status_code == 200
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 2


def test_a_code_model_leaves_no_process_behind(rig, tmp_path, units):
    rig.publish(table(1, code_package(tmp_path / "code")))
    worker = rig.start()
    (child,) = psutil.Process(worker.process.pid).children()
    assert worker.predict(ROW).status_code == 200
    rig.publish(table(2, units[0]))
    assert worker.reload().status_code == 200
    child.wait(timeout=5)
    rig.publish(table(3, code_package(tmp_path / "again")))
    assert worker.reload().status_code == 200
    (child,) = psutil.Process(worker.process.pid).children()
    worker.process.kill()
    child.wait(timeout=10)


def forked_by(process):
    """What a model has started and still runs, also what its end has left to somebody else."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(each.pid) == process.pid != each.pid and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


@pytest.mark.parametrize("behaviour", ["forks and hangs", "forks and crashes", "forks"])
def test_what_a_code_model_has_forked_ends_with_it(rig, tmp_path, units, behaviour):
    rig.publish(table(1, code_package(tmp_path / "code", behaviour)))
    worker = rig.start("w0", "--deadline-seconds", "1")
    (child,) = psutil.Process(worker.process.pid).children()
    answer = worker.predict({**ROW, "age": 13})
    if behaviour == "forks":
        assert (answer.status_code, len(forked_by(child))) == (200, 1)
        rig.publish(table(2, units[0]))
        assert worker.reload().status_code == 200
        child.wait(timeout=5)
    else:
        assert answer.status_code == 503
    until = time.monotonic() + 3
    while forked_by(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert forked_by(child) == []


@pytest.mark.parametrize("behaviour", ["forks and hangs", "forks"])
def test_what_a_code_model_has_forked_does_not_outlive_a_killed_gateway(rig, tmp_path, behaviour):
    rig.publish(table(1, code_package(tmp_path / "code", behaviour)))
    worker = rig.start("w0", "--deadline-seconds", "60")
    (child,) = psutil.Process(worker.process.pid).children()
    worker.http.headers["x-flyball-timeout-ms"] = "1500"
    assert worker.predict({**ROW, "age": 13}).status_code == (200 if behaviour == "forks" else 504)
    left = forked_by(child)
    worker.process.kill()
    assert len(left) == 1
    child.wait(timeout=10)
    until = time.monotonic() + 3
    while forked_by(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert forked_by(child) == []


def test_a_request_under_way_is_answered_by_the_units_that_were_routed_when_it_came(rig, tmp_path, units):
    """The canary is still at it when the table changes; the champion's rows are scored after the change."""
    slow, champion = code_package(tmp_path / "slow", "slow for three"), code_package(tmp_path / "champion")
    # What an ONNX model needs is imported with the first of them, which may take longer than the canary.
    rig.publish(table(1, units[0]))
    rig.renew_lease()
    worker = rig.start("w0", "--deadline-seconds", "20")
    rig.publish(table(2, champion, canary=slow, canary_weight=0.5, salt="s"))
    assert worker.reload().status_code == 200
    worker.http.headers["x-flyball-timeout-ms"] = "20000"  # nobody stands in for the canary meanwhile
    keys = [next(str(k) for k in range(100) if canary_answers(str(k), "s", 0.5) is chosen) for chosen in (True, False)]
    answers = []
    client = threading.Thread(target=lambda: answers.append(worker.predict({**ROW, "age": 13}, ROW, keys=keys)))
    client.start()
    wait_until(lambda: worker.in_flight() == 1)
    rig.publish(table(3, units[0]))
    assert worker.reload().status_code == 200
    assert worker.predict(ROW).json()["unit"] == units[0].unit.id
    assert answers == []
    children = psutil.Process(worker.process.pid).children()
    client.join()
    assert answers[0].status_code == 200, answers[0].text
    assert [each["unit"] for each in answers[0].json()["predictions"]] == [slow.unit.id, champion.unit.id]
    for child in children:
        child.wait(timeout=5)


def test_a_hanging_code_model_does_not_outlive_a_killed_gateway(rig, tmp_path, units):
    rig.publish(table(1, code_package(tmp_path / "bad", "hang")))
    worker = rig.start()
    (child,) = psutil.Process(worker.process.pid).children()
    with pytest.raises(httpx.TransportError):
        worker.http.post("/models/shop/predict", json={"rows": [{**ROW, "age": 13}]}, timeout=0.3)
    worker.process.kill()
    child.wait(timeout=5)


def test_a_model_that_does_not_unpickle_is_refused_at_loading(rig, tmp_path, units):
    rig.publish(table(1, units[0]))
    worker = rig.start()
    rig.publish(table(2, package(tmp_path / "no", Format.CODE, b"not a pickle", SIGNATURE)))
    answer = worker.reload()
    assert answer.status_code == 503
    assert "does not load" in answer.json()["detail"]
    assert psutil.Process(worker.process.pid).children() == []
