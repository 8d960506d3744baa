"""`flyball gateway` as a person types it: a routing file, packages, no project and no control plane."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import grpc
import httpx
import msgspec
import polars as pl
import psutil
import pytest
from gateway_rig import ROW, SIGNATURE, code_package, onnx_model, package, wait_until

from flyball.adapters.bench.load import load, request_bytes
from flyball.adapters.export import export_package
from flyball.adapters.known_process import known
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.adapters.supervisor import run_file
from flyball.gateway.openinference.messages import OPEN_INFERENCE, messages
from flyball.records.keeping import Keeping
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format
from flyball.wiring.standalone_captured import captured_of

FLYBALL = [sys.executable, "-m", "flyball"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("packages")
    for seed in range(2):
        package(directory / f"shop-{seed}", Format.ONNX, onnx_model(seed)[0], SIGNATURE)
    other = msgspec.structs.replace(SIGNATURE, classes=("keep", "return"))
    package(directory / "other", Format.ONNX, onnx_model()[0], other)
    return directory


class Standalone:
    """A running `flyball gateway` and what it says."""

    def __init__(self, directory: Path, text: str, *more: str, port: int = 0) -> None:
        self.file = directory / "routing.yaml"
        self.file.write_text(text)
        self.state = directory / ".flyball-gateway"
        self.output = directory / "output"
        with self.output.open("wb") as said:
            command = [*FLYBALL, "gateway", "--routing", str(self.file), "--port", str(port), *more]
            self.process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        self.wait_for("Ask for a prediction")
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.said())[0]
        self.token = (self.state / "token").read_text().strip()
        self.http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=20, trust_env=False
        )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, times: int = 1) -> None:
        until = time.monotonic() + 90
        while self.said().count(words) < times:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def predict(self, **more) -> httpx.Response:
        return self.http.post("/models/shop/predict", json={"rows": [ROW], **more})

    def workers(self) -> list[psutil.Process]:
        return [each for each in psutil.Process(self.process.pid).children() if "flyball.gateway" in each.cmdline()]

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=60)


@pytest.fixture
def start(tmp_path, packages):
    running = []

    def begin(text: str, *more: str) -> Standalone:
        running.append(Standalone(tmp_path, text.replace("PACKAGES", str(packages)), *more))
        return running[-1]

    yield begin
    for each in running:
        each.close()


def flyball(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FLYBALL, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_it_serves_follows_its_file_and_a_wrong_one_changes_nothing(start, packages, tmp_path):
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}")
    first = gateway.predict().json()["unit"]
    command = re.search(r"curl .*?\n.*?\n.*?\n", gateway.said())[0]
    pasted = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert json.loads(pasted.stdout)["unit"] == first
    gateway.file.write_text(
        f"models:\n  shop:\n    champion: {packages}/nowhere\n    shadow: [{packages}/other]\n    canery: 1\n"
    )
    gateway.wait_for("canery: found an unknown key (line 5)")
    assert gateway.predict().json()["unit"] == first
    gateway.file.write_text(f"models: {{shop: {{champion: {packages}/shop-0}}}}")
    gateway.wait_for("routing.yaml holds; what it says is served already")
    gateway.file.write_text(f"models: {{shop: {{champion: {packages}/shop-1}}}}")
    gateway.wait_for("is served by every worker (1)")
    assert gateway.predict().json()["unit"] != first
    gateway.process.terminate()
    assert gateway.process.wait(timeout=60) == 0
    assert not list((gateway.state / "gateways").glob("*"))
    exported = captured_of(gateway.state).export("parquet", tmp_path / "tables", None, None, lambda *_: None)
    assert exported.rows["predictions"] == 4
    rows = pl.read_parquet(tmp_path / "tables" / "predictions")
    assert rows["unit"].n_unique() == 2
    assert rows["label"].null_count() == 0  # of the unit that the file names no more, too


PERSONAL = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER),
        Column(name="anzahl", type=ColumnType.NUMBER),
        Column(name="email", type=ColumnType.CATEGORY),
    ),
    classes=("no", "yes"),
)


def test_what_the_project_keeps_out_of_captures_stays_out_and_a_version_has_its_number(start, tmp_path):
    rules = Keeping(drop=("anzahl",), hash=("email",), keys="hash")
    for number, behaviour in ((3, "good"), (4, "other")):
        code_package(tmp_path / f"of-{number}", behaviour, PERSONAL)
        export_package(tmp_path / f"of-{number}", tmp_path / f"shop-{number}", number, rules if number == 3 else Keeping())
    code_package(tmp_path / "old", "older", PERSONAL)
    gateway = start("models: {shop: {champion: shop-3, canary: {package: shop-4, weight: 50%}, shadow: [old]}}", "--workers", "2")
    assert "anzahl dropped, email hashed, keys hashed" in " ".join(gateway.said().split())
    assert "nothing is known of what is to be left out of what is captured by old" in " ".join(gateway.said().split())
    row = {"age": 41.5, "anzahl": 7361.25, "email": "ann@example.com"}
    asked = {"rows": [row] * 40, "keys": [f"key-of-{at}" for at in range(40)], "ids": [f"p{at}" for at in range(40)]}
    assert gateway.http.post("/models/shop/predict", json=asked).status_code == 200
    assert gateway.http.get("/v2/models/shop").json()["versions"] == ["3"]
    gateway.close()

    captured = b"".join(path.read_bytes() for path in (gateway.state / "capture").glob("*.seg"))
    assert b"p39" in captured
    for secret in (b"ann@", b"example.com", b"anzahl", b"key-of"):
        assert secret not in captured
    captured_of(gateway.state).export("parquet", tmp_path / "tables", None, None, lambda *_: None)
    rows = pl.read_parquet(tmp_path / "tables" / "predictions")
    # Every feature of a signature has a column: these have nothing in it.
    assert rows["email"].null_count() == rows["anzahl"].null_count() == rows.height
    assert rows["email_hash"].drop_nulls().n_unique() == 1
    assert rows["age"].drop_nulls().unique().to_list() == [41.5]


def test_segments_go_when_they_are_as_old_as_the_file_lets_them_become(start, tmp_path):
    captured = tmp_path / ".flyball-gateway" / "capture"
    captured.mkdir(parents=True, mode=0o700)
    for name, days in (("w8-1", 40), ("w8-2", 1)):
        (captured / f"{name}.seg").touch()
        os.utime(captured / f"{name}.seg", (time.time() - days * 86_400,) * 2)
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}\ncapture: {keep: 30d}\n")
    gateway.wait_for("Removed from capture/ by capture.keep: 1 segment,")
    assert gateway.predict().status_code == 200
    assert not (captured / "w8-1.seg").exists()
    assert (captured / "w8-2.seg").exists()
    assert float((gateway.state / "capture.keep").read_text()) == 30 * 86_400
    gateway.file.write_text(gateway.file.read_text().partition("capture:")[0])
    gateway.wait_for("what it says is served already")
    assert float((gateway.state / "capture.keep").read_text()) == 0


def test_two_packages_with_one_number_are_refused_before_anything_is_started(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        package(tmp_path / f"of-{name}", Format.ONNX, onnx_model(seed)[0], SIGNATURE)
        export_package(tmp_path / f"of-{name}", tmp_path / name, 1, Keeping())
    (tmp_path / "routing.yaml").write_text("models: {shop: {champion: a, canary: {package: b, weight: 5%}}}")
    for more in ((), ("--check",)):
        done = flyball("gateway", "--routing", tmp_path / "routing.yaml", *more)
        assert done.returncode == 2
        assert "models.shop.canary: found version 1, as models.shop.champion, which is another package" in done.stderr
    assert not (tmp_path / ".flyball-gateway").exists()


def test_a_damaged_package_is_named_in_one_sentence(tmp_path):
    package(tmp_path / "own", Format.ONNX, onnx_model()[0], SIGNATURE)
    (tmp_path / "own" / "model" / "model.onnx").write_bytes(b"damaged")
    (tmp_path / "routing.yaml").write_text("models: {shop: {champion: own}}")
    told = flyball("gateway", "--routing", "routing.yaml", "--check", cwd=tmp_path)
    assert told.returncode == 2
    assert re.search(
        r"found \S+model\.onnx has the digest \w+… \(line 1\), expected \w+…: every byte as the package's manifest says",
        told.stderr,
    ), told.stderr


class Lacking:
    """A model that reads a file when it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def predict_proba(self, frame: pl.DataFrame) -> None:
        self.path.read_bytes()


def test_a_model_that_lacks_a_file_is_told_by_the_check_on_the_terminal_and_to_clients_without_the_place(tmp_path):
    cloudpickle.register_pickle_by_value(sys.modules[Lacking.__module__])
    package(tmp_path / "own", Format.CODE, cloudpickle.dumps(Lacking(tmp_path / "lookup.json")), SIGNATURE)
    (tmp_path / "routing.yaml").write_text("models: {shop: {champion: own}}")
    checked = flyball("gateway", "--routing", "routing.yaml", "--check", cwd=tmp_path)
    assert checked.returncode == 2
    assert "cannot score an ordinary row" in checked.stderr
    assert "lookup.json" in checked.stderr
    said, state = tmp_path / "said", tmp_path / ".flyball-gateway"
    with (
        said.open("wb") as out,
        subprocess.Popen(
            [*FLYBALL, "gateway", "--routing", "routing.yaml", "--port", "0"], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_until(lambda: "could not take its routing table" in said.read_text())
            found = run_file.running(state)
            token = (state / "token").read_text().strip()
            refused = httpx.post(
                f"{found.gateway_url}/models/shop/predict", json={"rows": [ROW]}, headers={"authorization": f"Bearer {token}"}
            )
        finally:
            process.terminate()
    assert refused.status_code == 503
    assert "could not take its routing table" in refused.json()["detail"]
    assert "lookup.json" in refused.json()["detail"]
    assert str(tmp_path) not in refused.text


def test_a_canary_has_its_share_for_as_long_as_the_supervisor_lives(start):
    gateway = start(
        "models: {shop: {champion: PACKAGES/shop-0, canary: {package: PACKAGES/shop-1, weight: 50%}}}", "--workers", "2"
    )
    rows = {"rows": [ROW] * 200, "keys": [f"k{at}" for at in range(200)]}
    answered = [each["unit"] for each in gateway.http.post("/models/shop/predict", json=rows).json()["predictions"]]
    assert len(set(answered)) == 2
    assert 60 < answered.count(answered[0]) < 140
    again = [each["unit"] for each in gateway.http.post("/models/shop/predict", json=rows).json()["predictions"]]
    assert again == answered  # the same key meets the same unit at whichever worker


def test_who_meets_whom_is_decided_by_the_packages_alone(packages, tmp_path):
    """A file that says another threshold, number or weight moves nobody to another unit."""

    def salts(canary, arm, more=""):
        others = more.replace("7", "8")  # no two packages have one number
        beside = f"canary: {{package: {packages}/{canary}, weight: 5%{more}}}, arms: [{{package: {packages}/{arm}, weight: 50%{others}}}]"
        file = tmp_path / "routing.yaml"
        file.write_text(f"models: {{a: {{champion: {packages}/shop-0, {beside}}}, b: {{champion: {packages}/shop-0, {beside}}}}}")
        return [salt for route in RoutingFile(file).compiled().routes for salt in (route.salt, route.arms_salt)]

    first = salts("shop-0", "shop-1")
    for more in (", threshold: 0.4", ", version: 7"):
        assert salts("shop-0", "shop-1", more) == first
    other = salts("shop-1", "shop-0")
    assert len({*first, *other}) == 8  # also of one package in two places, and for two models


def test_a_hangup_replaces_every_worker_and_no_request_fails(start):
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}", "--workers", "2")
    port = int(gateway.url.rpartition(":")[2])
    request = request_bytes(port, "/models/shop/predict", json.dumps({"rows": [ROW]}).encode(), gateway.token)
    before = {each.pid for each in gateway.workers()}
    answered = failed = 0
    for times in (1, 2):
        os.kill(gateway.process.pid, signal.SIGHUP)
        while gateway.said().count("Every gateway worker was replaced (2)") < times:
            got = load(port, [request], 8, 0.5)
            answered += len(got.seconds)
            failed += got.failed
            assert not got.first_failure
    after = {each.pid for each in gateway.workers()}
    assert (failed, len(after)) == (0, 2)
    assert answered > 100
    assert before.isdisjoint(after)
    cards = [json.loads(card.read_bytes())["pid"] for card in (gateway.state / "gateways").glob("*.json")]
    assert set(cards) == after


def test_it_speaks_grpc_by_one_port_that_outlives_its_workers(start):
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}", "--workers", "2", "--grpc-port", "0")
    target = re.search(r"gRPC +(127\.0\.0\.1:\d+)", gateway.said())[1]
    forms = messages(OPEN_INFERENCE)

    def metadata():
        """Over a new connection: the kernel gives it to any of the workers."""
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            asking = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
            body = forms["ModelMetadataRequest"](name="shop").SerializeToString()
            said = asking(body, metadata=(("authorization", f"Bearer {gateway.token}"),), wait_for_ready=True, timeout=20)
        return [each.name for each in forms["ModelMetadataResponse"].FromString(said).inputs]

    def told():
        """Process → where it says that it answers."""
        cards = [json.loads(card.read_bytes()) for card in (gateway.state / "gateways").glob("*.json")]
        return {card["pid"]: f"127.0.0.1:{card['grpc_port']}" for card in cards}

    columns = [column.name for column in SIGNATURE.columns]
    assert all(metadata() == columns for _ in range(8))
    wait_until(lambda: len(told()) == 2)
    killed, kept = gateway.workers()
    killed.kill()
    wait_until(lambda: len(told().keys() - {killed.pid}) == 2)
    assert all(metadata() == columns for _ in range(8))
    os.kill(gateway.process.pid, signal.SIGHUP)
    gateway.wait_for("Every gateway worker was replaced (2)")
    assert metadata() == columns
    assert kept.pid not in told()
    assert list(told().values()) == [target] * 2


def test_a_worker_that_cannot_be_replaced_goes_on_serving(start, packages, tmp_path):
    own = tmp_path / "own"
    package(own, Format.ONNX, onnx_model()[0], SIGNATURE)
    gateway = start(f"models: {{shop: {{champion: {own}}}}}")
    (before,) = gateway.workers()
    (own / "model" / "model.onnx").write_bytes(b"damaged")  # a fresh worker would have nothing to serve
    os.kill(gateway.process.pid, signal.SIGHUP)
    while "The rolling restart ends here; gateway-0 serves as before" not in gateway.said():
        fresh = httpx.post(
            f"{gateway.url}/models/shop/predict", json={"rows": [ROW]}, headers=dict(gateway.http.headers), trust_env=False
        )
        assert fresh.status_code == 200  # a connection of its own: whoever accepts it must be able to answer
    assert re.search("there is nothing that this worker could serve: model/model.onnx of u.* has the digest", gateway.said())
    assert [each.pid for each in gateway.workers()] == [before.pid]
    assert json.loads((gateway.state / "gateways" / "0.json").read_bytes())["pid"] == before.pid


def test_a_killed_worker_is_started_again(start):
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}", "--workers", "2")
    gateway.workers()[0].kill()
    gateway.wait_for("is started again")
    assert all(gateway.predict().status_code == 200 for _ in range(20))


def test_what_is_wrong_is_told_before_anything_is_started(tmp_path, packages):
    file = tmp_path / "routing.yaml"
    file.write_text(f"models:\n  a: {{champion: nowhere}}\n  b: {{champion: {packages}/shop-0, shadow: [{packages}/other]}}\n")
    for more in ((), ("--check",)):
        done = flyball("gateway", "--routing", file, *more)
        assert done.returncode == 2
        assert "models.a.champion" in done.stderr
        assert (
            "models.b.shadow[0]: found binary (keep, return) (line 3), expected binary (no, yes), as its champion" in done.stderr
        )
        assert not (tmp_path / ".flyball-gateway").exists()
    assert flyball("gateway", "--routing", tmp_path / "none.yaml").returncode == 2


def test_a_projects_state_directory_is_not_taken_over(tmp_path, packages):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "flyball.db").touch()
    (tmp_path / "routing.yaml").write_text(f"models: {{shop: {{champion: {packages}/shop-0}}}}")
    done = flyball("gateway", "--routing", tmp_path / "routing.yaml", "--state-dir", tmp_path / "state")
    assert done.returncode == 2
    assert "belongs to a project" in done.stderr


def test_its_state_outlives_the_release_that_its_file_lies_in(tmp_path, packages):
    release = tmp_path / "releases" / "1"
    release.mkdir(parents=True)
    (release / "routing.yaml").write_text(f"models: {{shop: {{champion: {packages}/shop-0}}}}")
    (tmp_path / "current").symlink_to("releases/1")
    for place in (tmp_path, release):  # both are refused, so that nothing is started
        (place / ".flyball-gateway").mkdir()
        (place / ".flyball-gateway" / "flyball.db").touch()
    done = flyball("gateway", "--routing", "current/routing.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}/.flyball-gateway belongs to a project" in done.stderr


def test_a_taken_port_is_told_with_its_holder(tmp_path, packages):
    (tmp_path / "routing.yaml").write_text(f"models: {{shop: {{champion: {packages}/shop-0}}}}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = flyball("gateway", "--routing", tmp_path / "routing.yaml", "--port", taken.getsockname()[1])
        assert done.returncode == 3
        assert f"process {os.getpid()}" in done.stderr
        done = flyball("gateway", "--routing", tmp_path / "routing.yaml", "--port", "0", "--grpc-port", taken.getsockname()[1])
        assert done.returncode == 3
        assert re.search(rf"is taken by process {os.getpid()} .*`--grpc-port` of flyball gateway", done.stderr), done.stderr


def test_bench_measures_a_package_and_says_where_the_time_goes(packages):
    done = flyball("bench", "--package", packages / "shop-0", "--seconds", "0.3", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [(row["rows"], row["connections"]) for row in report["loads"]] == [(1, 1), (1, 16), (1, 64), (100, 8)]
    assert all(row["requests_per_second"] > 0 and row["p50_ms"] <= row["p99_ms"] for row in report["loads"])
    assert sum(row["share"] for row in report["stages"]) == pytest.approx(1.0)
    assert {"model", "capture"} <= {row["stage"] for row in report["stages"]}
    assert all(row["us"] > 0 and row["batch_us"] > 0 for row in report["stages"] if row["batch_us"] is not None)
    assert report["format"] == "onnx"
    assert report["advice"]


def test_bench_of_what_is_no_package_says_so(tmp_path):
    done = flyball("bench", "--package", tmp_path)
    assert done.returncode == 2
    assert "there is no package" in done.stderr


def test_a_supervisor_that_is_killed_while_it_replaces_a_worker_leaves_none_unknown(start):
    gateway = start("models: {shop: {champion: PACKAGES/shop-0}}")
    (before,) = gateway.workers()
    run = gateway.state / "run" / "supervisor.json"
    os.kill(gateway.process.pid, signal.SIGHUP)
    while b"gateway-0-coming" not in run.read_bytes():
        time.sleep(0.005)
    (card,) = (gateway.state / "gateways").glob("*.json")
    assert json.loads(card.read_bytes())["pid"] == before.pid, "the new one is not ready yet"
    both = [process for each in gateway.workers() if (process := known(each.pid))]
    gateway.process.kill()
    gateway.process.wait()
    run_file.stop(gateway.state)
    left = [each.pid for each in both if each.lives]
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert not left


def test_an_end_amid_a_rolling_restart_answers_what_was_accepted(start, tmp_path):
    own = tmp_path / "own"
    code_package(own, "slow")
    gateway = start(f"models: {{shop: {{champion: {own}}}}}")
    told: list[tuple[float, object]] = []
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            begun = time.monotonic()
            try:
                answer = httpx.post(
                    f"{gateway.url}/models/shop/predict",
                    json={"rows": [{**ROW, "age": 13}]},
                    headers=dict(gateway.http.headers),
                    trust_env=False,
                    timeout=20,
                )
                told.append((begun, answer.status_code))
            except httpx.HTTPError as failed:
                told.append((begun, failed))

    callers = [threading.Thread(target=ask) for _ in range(2)]
    for each in callers:
        each.start()
    os.kill(gateway.process.pid, signal.SIGHUP)
    run = gateway.state / "run" / "supervisor.json"
    while b"gateway-0-leaving" not in run.read_bytes():
        time.sleep(0.005)
    at = time.monotonic()
    gateway.process.terminate()
    ended.set()
    for each in callers:
        each.join()
    assert gateway.process.wait(timeout=60) == 0
    accepted = [what for begun, what in told if begun < at - 0.1]
    assert accepted
    assert {what for what in accepted if what != 429} == {200}
