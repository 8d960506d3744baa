"""A real gateway process over gRPC: every refusal has its status, nonsense never gets one of ours, and a drain finishes what was accepted."""

import collections
import json
import re
import signal
import socket
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
from gateway_rig import CLIENT, OWNER, ROW, SIGNATURE, Rig, code_package, onnx_model, package, table, wait_until

from flyball.gateway.openinference.messages import HEALTH, OPEN_INFERENCE, messages
from flyball.records.captured import PredictionBatch, RefusalBatch
from flyball.records.unit import Format

OF = messages(OPEN_INFERENCE)
SERVICE = "inference.GRPCInferenceService"
CONTENTS = {"age": ("FP32", "fp32_contents"), "income": ("FP64", "fp64_contents"), "visits": ("INT64", "int64_contents"),
            "member": ("BOOL", "bool_contents"), "town": ("BYTES", "bytes_contents")}  # fmt: skip
OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED}


class Client:
    def __init__(self, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method, request, token=CLIENT, service=SERVICE, answer=None, timeout=20, metadata=()):
        """(status, words) when refused, else the answer."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        given = (*metadata, *((("authorization", f"Bearer {token}"),) if token else ()))
        try:
            raw = self.channel.unary_unary(f"/{service}/{method}")(body, metadata=given, timeout=timeout)
        except grpc.RpcError as refused:
            return refused.code(), refused.details()
        return answer.FromString(raw) if answer else OF[f"{method}Response"].FromString(raw)

    def infer(self, request, **more):
        return self.call("ModelInfer", request, **more)


def request(*rows, **more):
    message = OF["ModelInferRequest"](model_name="shop", **more)
    for name, (datatype, field) in CONTENTS.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[len(rows), 1])
        getattr(tensor.contents, field).extend(row[name].encode() if name == "town" else row[name] for row in rows)
    return message


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    directory = tmp_path_factory.mktemp("grpc")
    rig = Rig(directory / "state")
    content, _ = onnx_model()
    rig.publish(table(1, package(directory / "v1", Format.ONNX, content, SIGNATURE, threshold=0.5)))
    worker = rig.start("w0", "--grpc-port", "0", "--max-body-mb", "1")
    client = Client(worker.card["grpc_port"])
    yield rig, worker, client
    client.channel.close()
    assert worker.stop() == 0
    assert "incident" not in (rig.directory / "w0.log").read_text()
    rig.close()


@pytest.fixture(scope="module")
def client(setting):
    return setting[2]


def test_what_is_refused_is_captured_by_its_column_and_types(tmp_path):
    rig = Rig(tmp_path / "state")
    rig.publish(table(1, package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)))
    worker = rig.start("w0", "--grpc-port", "0")
    client = Client(worker.card["grpc_port"])
    message = request(ROW, ROW)
    message.inputs[0].datatype = "BYTES"
    message.inputs[0].contents.Clear()
    message.inputs[0].contents.bytes_contents.extend([b"41"] * 2)
    unknown = request(ROW)
    unknown.model_name = "jo@example.org"
    for each in (message, message, unknown):
        assert client.infer(each)[0] in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
    client.channel.close()
    assert worker.stop() == 0
    found = [each for record in rig.captured() if isinstance(record, RefusalBatch) for each in record.refused]
    rig.close()
    assert sum(each.requests for each in found) == 2
    assert {each.rows / each.requests for each in found} == {2.0}
    assert {(each.status, each.field, each.fault, each.found, each.expected) for each in found} == {
        (422, "age", "type", "text", "a number")
    }


def test_a_stranger_is_refused_before_the_message_is_received(client):
    """Its size is looked at when it is received: 2 MB of 1 would be too large."""
    large = bytes(2 << 20)
    assert client.infer(large, token="x")[0] is grpc.StatusCode.UNAUTHENTICATED
    assert client.infer(large)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_typed_contents_are_answered_in_typed_contents_and_captured_as_over_rest(setting):
    rig, worker, client = setting
    message = request(ROW, {**ROW, "age": 20}, id="q")
    message.parameters["keys"].string_param = '["k1", "k2"]'
    message.parameters["prediction_ids"].string_param = '["p1", "p2"]'
    answer = client.infer(message)
    plain = worker.predict(ROW, {**ROW, "age": 20}).json()
    assert list(answer.outputs[0].contents.fp64_contents) == [each["score"] for each in plain["predictions"]]
    assert [each.decode() for each in answer.outputs[1].contents.bytes_contents] == [e["label"] for e in plain["predictions"]]
    assert (answer.id, answer.parameters["unit"].string_param) == ("q", plain["unit"])
    assert json.loads(answer.parameters["prediction_ids"].string_param) == ["p1", "p2"]
    over_grpc, over_rest = [each for each in rig.captured() if isinstance(each, PredictionBatch)][-2:]
    assert (over_grpc.keys, over_grpc.ids) == (["k1", "k2"], ["p1", "p2"])
    assert (over_grpc.columns, over_grpc.scores) == (over_rest.columns, over_rest.scores)


def test_every_method_for_every_role_is_as_the_table_says(client):
    free = {"ServerLive", "ServerReady"}
    requests = {
        "ServerLive": {}, "ServerReady": {}, "ServerMetadata": {}, "ModelReady": {"name": "shop"}, "ModelMetadata": {"name": "shop"},
    }  # fmt: skip
    for method, fields in requests.items():
        for token, expected in (
            (None, grpc.StatusCode.UNAUTHENTICATED),
            ("x", grpc.StatusCode.UNAUTHENTICATED),
            (CLIENT, None),
            (OWNER, None),
        ):
            answer = client.call(method, OF[f"{method}Request"](**fields), token=token)
            assert (answer[0] if isinstance(answer, tuple) else None) == (None if method in free else expected), (method, token)
    assert client.infer(request(ROW), token=None)[0] is grpc.StatusCode.UNAUTHENTICATED


def test_kubernetes_asks_for_health(client):
    of = messages(HEALTH)
    for service in ("", SERVICE):
        asked = of["HealthCheckRequest"](service=service)
        assert client.call("Check", asked, None, f"{HEALTH}.Health", of["HealthCheckResponse"]).status == 1
    nobody = of["HealthCheckRequest"](service="nobody")
    assert client.call("Check", nobody, None, f"{HEALTH}.Health", of["HealthCheckResponse"])[0] is grpc.StatusCode.NOT_FOUND


def typed(column, **changes):
    message = request(ROW)
    tensor = next(each for each in message.inputs if each.name == column)
    for field, value in changes.items():
        if field in ("datatype", "name"):
            setattr(tensor, field, value)
        elif field == "shape":
            tensor.shape[:] = value
        else:
            tensor.contents.Clear()
            getattr(tensor.contents, field).extend(value)
    return message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (typed("age", fp32_contents=[1000.0]), "rows[0].age: found 1000.0, expected a number from 0 to 150"),
        (typed("age", fp32_contents=[float("nan")]), "rows[0].age: found NaN"),
        (typed("income", fp64_contents=[float("inf")]), "rows[0].income: found an infinity"),
        (typed("age", fp64_contents=[1.0]), "inputs[0].contents: found fp64_contents, expected fp32_contents"),
        (typed("age", fp32_contents=[1.0, 2.0]), "inputs[0].shape"),
        (typed("age", datatype="FP16"), "expected raw_input_contents"),
        (typed("age", datatype="FP8"), "inputs[0].datatype: found \"FP8\""),
        (typed("age", shape=[-1]), "inputs[0].shape"),
        (typed("age", shape=[2**62, 2]), "inputs[0].shape"),
        (typed("town", bytes_contents=[b"\xff"]), "rows[0].town: found bytes that are not UTF-8"),
        (typed("visits", datatype="INT8", int_contents=[300]), "rows[0].visits: found 300, expected a whole number from -128 to 127, as INT8 says"),
        (typed("visits", datatype="UINT16", uint_contents=[65536]), "rows[0].visits: found 65536"),
        (typed("town", name="tovn"), "inputs[4].name: found \"tovn\""),
        (request(ROW, raw_input_contents=[b""]), "raw_input_contents: found 1 tensors"),
        (request(ROW, raw_input_contents=[b""] * 5), "contents beside raw_input_contents"),
        (OF["ModelInferRequest"](model_name="shop"), "rows: found an empty list"),
    ],
)  # fmt: skip
def test_a_bad_tensor_is_named(client, message, words):
    code, told = client.infer(message)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words in told


def test_what_is_too_much_or_not_there_has_its_status(client):
    assert client.infer(request(*[{**ROW, "town": "x" * 1000}] * 1100))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.infer(OF["ModelInferRequest"](model_name="nobody"))[0] is grpc.StatusCode.NOT_FOUND
    assert client.infer(request(ROW, model_version="9"))[0] is grpc.StatusCode.NOT_FOUND
    assert client.call("ModelStreamInfer", b"")[0] is grpc.StatusCode.UNIMPLEMENTED
    assert client.infer(request(ROW)).model_version == "1"


def counted(worker, name):
    """{(door, model, kind): how many} of a counter, or the value of a gauge under ''."""
    text = worker.admin.get("/flyball/metrics").text
    found = re.findall(rf'^{name}(?:{{door="(\w+)",kind="(\w+)",model="(\w*)"}})? (\S+)$', text, re.MULTILINE)
    return {(door, model, kind) if door else "": float(value) for door, kind, model, value in found}


def test_errors_are_counted_by_their_class_as_over_rest(setting):
    _, worker, client = setting
    before = counted(worker, "flyball_errors_total")
    client.infer(request(ROW), token="x")
    client.infer(OF["ModelInferRequest"](model_name="nobody"))
    for _ in range(2):
        client.infer(typed("age", fp32_contents=[1000.0]))
    client.infer(request(ROW))
    after = counted(worker, "flyball_errors_total")
    assert {key: after[key] - before.get(key, 0.0) for key in after if after[key] != before.get(key)} == {
        ("grpc_infer", "", "HttpRefused"): 1.0,  # before its message was read
        ("grpc_infer", "", "NotFound"): 1.0,
        ("grpc_infer", "shop", "RequestError"): 2.0,
    }


def test_1000_broken_messages_are_read_or_refused_and_the_next_one_is_answered(client):
    draw = np.random.default_rng(11)
    whole = request(ROW, ROW).SerializeToString()
    codes = set()
    for _ in range(1000):
        broken = bytearray(whole)
        for _ in range(int(draw.integers(1, 5))):
            at = int(draw.integers(len(broken)))
            if draw.integers(2):
                broken[at] = int(draw.integers(256))
            else:
                del broken[at : at + int(draw.integers(1, 9))]
        answer = client.infer(bytes(broken))
        if isinstance(answer, tuple):
            codes.add(answer[0])
    assert grpc.StatusCode.INVALID_ARGUMENT in codes
    assert not codes & OURS
    assert client.infer(request(ROW)).model_name == "shop"


def test_a_taken_port_is_told_in_a_sentence(setting):
    rig, worker, _ = setting
    arguments = ["--state-dir", str(rig.directory), "--worker", "w1", "--grpc-port", str(worker.card["port"])]
    done = subprocess.run(
        [sys.executable, "-m", "flyball.gateway", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3
    assert f"gRPC cannot listen on 127.0.0.1 port {worker.card['port']}" in done.stderr
    assert "Traceback" not in done.stderr


def flooded(field, n):
    message = request(ROW)
    if field == "parameters":
        for at in range(n):
            message.parameters[f"p{at}"].bool_param = True
    elif field == "outputs":
        for _ in range(n):
            message.outputs.add(name="scores")
    elif field == "shape":
        message.inputs[0].shape.extend([1] * n)
    elif field == "bytes_contents":
        message.inputs[4].contents.bytes_contents.extend([b""] * n)
    elif field == "fp32_contents":
        message.inputs[0].contents.fp32_contents.extend([1.0] * n)
    else:
        message.parameters[field].string_param = json.dumps(["a"] * n)
    return message


@pytest.mark.parametrize(
    ("field", "few", "many", "words"),
    [
        ("parameters", 101, 40_000, "parameters: found"),
        ("outputs", 17, 80_000, "outputs: found"),
        ("shape", 7, 500_000, "inputs[0].shape: found"),
        ("bytes_contents", 100, 400_000, "inputs[4]"),
        ("fp32_contents", 100, 200_000, "inputs[0].shape: found [1, 1], expected a shape of"),
        ("keys", 3000, 190_000, "parameters.keys: found"),
        ("prediction_ids", 3000, 190_000, "parameters.prediction_ids: found"),
    ],
)
def test_what_no_request_has_is_refused_by_its_length_alone(client, field, few, many, words):
    """`few`: in a message that is read at once; `many`: in one that is large."""
    for n in (few, many):
        code, told = client.infer(flooded(field, n))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert words in told


def test_thousands_of_rows_are_answered_beside_the_loop_as_over_rest(setting):
    _, worker, client = setting
    rows = [{**ROW, "age": float(at % 90)} for at in range(5000)]
    answer = client.infer(request(*rows))
    plain = worker.predict(*rows).json()["predictions"]
    assert list(answer.outputs[0].contents.fp64_contents) == [each["score"] for each in plain]
    assert [each.decode() for each in answer.outputs[1].contents.bytes_contents] == [each["label"] for each in plain]
    wrong = request(*rows)
    wrong.inputs[0].contents.fp32_contents[4999] = 1000.0
    assert "rows[4999].age: found 1000.0" in client.infer(wrong)[1]


def test_a_refusal_says_when_to_come_again_as_over_rest(tmp_path):
    rig = Rig(tmp_path / "state")
    try:
        content, _ = onnx_model()
        rig.publish(table(1, package(tmp_path / "v1", Format.ONNX, content, SIGNATURE), stopped="stopped by jo"))
        worker = rig.start("w0", "--grpc-port", "0")
        with grpc.insecure_channel(f"127.0.0.1:{worker.card['grpc_port']}") as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"/{SERVICE}/ModelInfer")(
                request(ROW).SerializeToString(), metadata=(("authorization", f"Bearer {CLIENT}"),), timeout=20
            )
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        told = dict(refused.value.trailing_metadata())
        assert told["retry-after"] == worker.predict(ROW).headers["retry-after"]
        assert worker.stop() == 0
    finally:
        rig.close()


AGAIN = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": {
    "maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]})  # fmt: skip


class Restless:
    """Clients that never pause, some of which send again what was UNAVAILABLE."""

    def __init__(self, port, n):
        self.port = port
        self.told = collections.Counter()
        self.answered = [0] * n
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(at,)) for at in range(n)]
        for each in self._threads:
            each.start()

    def _ask(self, at):
        again = at % 2 == 0
        more = [("grpc.service_config", AGAIN)] if again else [("grpc.enable_retries", 0)]
        body, metadata = request(ROW).SerializeToString(), (("authorization", f"Bearer {CLIENT}"),)
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1), *more]) as channel:
            call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            while not self._stop.is_set():
                try:
                    call(body, metadata=metadata, timeout=20)
                    self.answered[at] += 1
                except grpc.RpcError as refused:
                    self.told[again, refused.code().name] += 1

    def end(self):
        self._stop.set()
        for each in self._threads:
            each.join()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_worker_that_ends_cancels_no_call_and_none_fails_that_is_sent_again(tmp_path, number):
    rig = Rig(tmp_path / "state")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        rig.publish(table(1, package(tmp_path / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)))
        first, second = (rig.start(name, "--grpc-port", str(port)) for name in ("w0", "w1"))
        clients = Restless(port, 24)
        try:
            wait_until(lambda: min(clients.answered) > 3)
            first.process.send_signal(number)
            assert first.process.wait(30) == 0
            before = [*clients.answered]
            wait_until(lambda: all(now > then for now, then in zip(clients.answered, before, strict=True)))
        finally:
            clients.end()
        assert set(clients.told) <= {(False, "UNAVAILABLE")}
        assert second.stop() == 0
    finally:
        rig.close()


def test_deadlines_are_kept_and_a_drain_finishes_what_was_accepted(tmp_path):
    rig = Rig(tmp_path / "state")
    try:
        rig.publish(table(1, code_package(tmp_path / "slow", "slow")))
        worker = rig.start("w0", "--grpc-port", "0")
        client = Client(worker.card["grpc_port"])
        assert client.infer(request({**ROW, "age": 13.0}), timeout=0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        wait_until(lambda: worker.in_flight() == 0)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.infer(request({**ROW, "age": 13.0}))))
        asking.start()
        wait_until(lambda: worker.in_flight() == 1)
        assert worker.stop() == 0
        asking.join()
        assert answers[0].model_name == "shop"
        client.channel.close()
    finally:
        rig.close()
