"""What an operator sees of a gateway: traces at a real collector, logs that machines read, one scrape for all workers."""

import json
import os
import re
import signal
import time
from pathlib import Path

import grpc
import msgspec
import pytest
from gateway_rig import CLIENT, ROW, SIGNATURE, Rig, code_package, onnx_model, package, table, wait_until
from otlp_receiver import Receiver, attributes
from prometheus_client.parser import text_string_to_metric_families

from flyball.gateway.openinference.messages import OPEN_INFERENCE, messages
from flyball.records.routing import Route
from flyball.records.unit import Format

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RPC = "inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def served(rig):
    return package(rig.directory / "package", Format.ONNX, onnx_model()[0], SIGNATURE)


def traced(rig, monkeypatch, **environment):
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return rig.start("w0", "--log-format", "json")


def log_lines(rig, name="w0"):
    return [json.loads(line) for line in (rig.directory / f"{name}.log").read_text().splitlines()]


def test_a_request_continues_its_callers_trace_and_shows_each_model_call(rig, served, monkeypatch):
    shadow = code_package(rig.directory / "shadow")
    rig.publish(table(1, served, canary=package(rig.directory / "canary", Format.ONNX, onnx_model(1)[0], SIGNATURE),
                      canary_weight=1.0, shadows=(shadow,)))  # fmt: skip
    rig.renew_lease()
    with Receiver() as receiver:
        worker = traced(rig, monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        answer = worker.http.post(
            "/models/shop/predict", json={"rows": [ROW]}, headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=b"}
        )
        wrong = worker.predict({"age": "x"})
        worker.http.get("/v2/health/live")
        assert (answer.status_code, wrong.status_code) == (200, 422)
        worker.stop()
    spans = {span.name: span for span in receiver.spans}
    request = next(span for span in receiver.spans if span.parent_span_id.hex() == SPAN)
    assert request.trace_id.hex() == TRACE
    assert request.trace_state == "a=b"
    assert request.name == "POST /models/{model}/predict"
    said = attributes(request)
    assert said["http.response.status_code"] == 200
    assert said["flyball.prediction_id"] == answer.headers["x-flyball-prediction-id"]
    assert said["flyball.unit"] == answer.headers["x-flyball-unit"]
    call = spans["model canary"]
    assert (call.trace_id.hex(), call.parent_span_id) == (TRACE, request.span_id)
    assert attributes(call) == {
        "flyball.model": "shop",
        "flyball.unit": answer.headers["x-flyball-unit"],
        "flyball.role": "canary",
        "flyball.rows": 1,
    }
    assert call.start_time_unix_nano <= call.end_time_unix_nano
    refused = next(span for span in receiver.spans if attributes(span).get("error.type"))
    assert attributes(refused)["error.type"] == "RequestError"
    assert len([span for span in receiver.spans if span.kind == request.kind]) == 2  # a probe is not traced
    assert receiver.resources[0]["service.name"] == "flyball-gateway"
    assert receiver.resources[0]["service.instance.id"] == "w0"


def infer_request(model="shop", **values):
    message = messages(OPEN_INFERENCE)["ModelInferRequest"](model_name=model)
    fields = {"age": ("FP32", "fp32_contents"), "income": ("FP64", "fp64_contents"), "visits": ("INT64", "int64_contents"),
              "member": ("BOOL", "bool_contents"), "town": ("BYTES", "bytes_contents")}  # fmt: skip
    for name, (datatype, field) in fields.items():
        value = {**ROW, **values}[name]
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[1, 1])
        getattr(tensor.contents, field).append(value.encode() if name == "town" else value)
    return message.SerializeToString()


def test_a_grpc_call_continues_its_callers_trace_as_a_request_over_rest_does(rig, served, monkeypatch):
    rig.publish(table(1, served))
    with Receiver() as receiver:
        with monkeypatch.context() as patch:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
            worker = rig.start("w0", "--grpc-port", "0")
        with grpc.insecure_channel(f"127.0.0.1:{worker.card['grpc_port']}") as channel:
            infer = channel.unary_unary(f"/{RPC}")
            token = ("authorization", f"Bearer {CLIENT}")
            known = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "a=b"))
            raw = infer(infer_request(), metadata=(token, *known))
            codes = []
            for body, metadata in (
                (infer_request(age=1000.0), (token,)), (infer_request("nobody"), (token,)), (infer_request(), (("authorization", "Bearer x"),)),
            ):  # fmt: skip
                with pytest.raises(grpc.RpcError) as refused:
                    infer(body, metadata=metadata)
                codes.append(refused.value.code().name)
            channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"")
        worker.stop()
    answer = messages(OPEN_INFERENCE)["ModelInferResponse"].FromString(raw)
    request = next(span for span in receiver.spans if span.parent_span_id.hex() == SPAN)
    assert (request.trace_id.hex(), request.trace_state, request.name) == (TRACE, "a=b", RPC)
    assert attributes(request) == {
        "rpc.system.name": "grpc",
        "rpc.method": RPC,
        "rpc.response.status_code": "OK",
        "flyball.unit": served.unit.id,
        "flyball.prediction_id": json.loads(answer.parameters["prediction_ids"].string_param)[0],
    }
    (call,) = [span for span in receiver.spans if span.name == "model champion"]
    assert (call.trace_id.hex(), call.parent_span_id) == (TRACE, request.span_id)
    requests = [span for span in receiver.spans if span.kind == request.kind]  # a probe is not traced
    told = [(attributes(span)["rpc.response.status_code"], attributes(span).get("error.type")) for span in requests]
    assert codes == ["INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED"]
    assert told == [
        ("OK", None),
        ("INVALID_ARGUMENT", "RequestError"),
        ("NOT_FOUND", "NotFound"),
        ("UNAUTHENTICATED", "HttpRefused"),
    ]
    assert all(span.status.code == 0 for span in requests)  # all of them their caller's


def test_a_grpc_call_that_fails_here_is_an_error_and_one_whose_caller_leaves_is_none(rig, monkeypatch):
    rig.publish(table(1, code_package(rig.directory / "hangs", "hang")))
    with Receiver() as receiver:
        with monkeypatch.context() as patch:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
            worker = rig.start("w0", "--grpc-port", "0", "--deadline-seconds", "1")
        with grpc.insecure_channel(f"127.0.0.1:{worker.card['grpc_port']}") as channel:
            infer, token = channel.unary_unary(f"/{RPC}"), (("authorization", f"Bearer {CLIENT}"),)
            with pytest.raises(grpc.RpcError) as failed:
                infer(infer_request(age=13.0), metadata=token)
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
            left = infer.future(infer_request(age=13.0), metadata=token)
            wait_until(worker.in_flight)
            left.cancel()
            wait_until(lambda: not worker.in_flight())
        worker.stop()
    told = [(attributes(span)["rpc.response.status_code"], attributes(span).get("error.type"), span.status.code)
            for span in receiver.spans if span.name == RPC]  # fmt: skip
    assert told == [("UNAVAILABLE", "ModelFailed", 2), ("CANCELLED", None, 0)]


def test_who_is_not_sampled_upstream_is_not_sampled_here_and_the_ratio_is_the_standard_variable(rig, served, monkeypatch):
    rig.publish(table(1, served))
    with Receiver() as receiver:
        worker = traced(
            rig, monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_TRACES_SAMPLER="parentbased_traceidratio",
            OTEL_TRACES_SAMPLER_ARG="0",
        )  # fmt: skip
        for sampled in ("00", "01"):
            worker.http.post(
                "/models/shop/predict", json={"rows": [ROW]}, headers={"traceparent": f"00-{TRACE}-{SPAN}-{sampled}"}
            )
        worker.predict(ROW)  # nobody's child: the ratio of 0 decides
        worker.stop()
    assert [span.parent_span_id.hex() for span in receiver.spans if span.name.startswith("POST")] == [SPAN]


def test_a_collector_that_is_gone_costs_no_answer_and_does_not_hold_the_end_up(rig, served, monkeypatch):
    rig.publish(table(1, served))
    worker = traced(rig, monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert all(worker.predict(ROW).status_code == 200 for _ in range(50))
    begun = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - begun < 15  # a retry of the exporter alone may take minutes


def test_logs_are_one_json_object_a_line_and_hold_no_token(rig, served):
    rig.publish(table(1, served))
    worker = rig.start("w0", "--log-format", "json")
    (rig.directory / "routing.json").write_text("not a table")
    until = time.monotonic() + 20
    while not any("not taken" in line["message"] for line in log_lines(rig)):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert worker.predict(ROW).status_code == 200  # what was served before is served still
    line = next(line for line in log_lines(rig) if "not taken" in line["message"])
    assert set(line) == {"time", "level", "logger", "message", "worker"}
    assert (line["level"], line["logger"], line["worker"]) == ("warning", "flyball.gateway", "w0")
    assert "-token-" not in (rig.directory / "w0.log").read_text()


def families(worker):
    return {family.name: family for family in text_string_to_metric_families(worker.http.get("/metrics").text)}


def test_one_scrape_tells_every_worker_and_who_does_not_answer(rig, served):
    rig.publish(table(1, served))
    (rig.directory / "token.viewer").write_text("viewer-token-of-the-tests")
    (rig.directory / "token.viewer").chmod(0o600)
    first, second = rig.start("w0"), rig.start("w1")
    assert first.predict(ROW).status_code == second.predict(ROW).status_code == 200
    of_gateways = REFERENCE.read_text().partition("## Of the control process")[0]
    listed = re.findall(r"^\| `((?:flyball|process)_\w+?)(?:_total)?`", of_gateways, re.MULTILINE)
    first.http.headers["authorization"] = "Bearer owner-token-of-the-tests"
    assert sorted(families(first)) == sorted(listed)
    for worker in (first, second):
        worker.http.headers["authorization"] = "Bearer viewer-token-of-the-tests"
        asked = {
            sample.labels["worker"]: sample.value
            for sample in families(worker)["flyball_requests"].samples
            if sample.name == "flyball_requests_total" and sample.labels["door"] == "predict"
        }
        assert asked == {"w0": 1.0, "w1": 1.0}
    assert first.predict(ROW).status_code == 403  # who reads metrics may not predict
    os.kill(second.process.pid, signal.SIGSTOP)  # hangs: its port takes the connection and says nothing
    try:
        assert up(first) == {"w0": 1.0, "w1": 0.0}
    finally:
        os.kill(second.process.pid, signal.SIGCONT)
    second.process.kill()  # and nobody starts it again
    second.process.wait()
    assert up(first) == {"w0": 1.0, "w1": 0.0}


def up(worker):
    return {sample.labels["worker"]: sample.value for sample in families(worker)["flyball_worker_up"].samples}


def test_whose_requests_fail_is_seen_by_model_and_of_names_that_are_not_routed_nothing(rig, served):
    fails = code_package(rig.directory / "fails", "raise")
    sick = Route(model="sick", champion=msgspec.structs.replace(fails, unit=msgspec.structs.replace(fails.unit, model="sick")))
    unit = msgspec.structs.replace(served.unit, id="u0000lost", model="lost", manifest_digest="0" * 64)
    lost = Route(model="lost", champion=msgspec.structs.replace(served, unit=unit, package=str(rig.directory / "nowhere")))
    all_three = table(1, served)
    rig.publish(msgspec.structs.replace(all_three, routes=(*all_three.routes, sick, lost)))
    worker = rig.start("w0")
    wrong = {**ROW, "age": 13.0}
    for model, row in (("shop", ROW), ("shop", ROW), ("sick", wrong), ("sick", ROW), ("lost", ROW), ("made-up", ROW)):
        worker.http.post(f"/models/{model}/predict", json={"rows": [row]})
    worker.http.headers["authorization"] = "Bearer owner-token-of-the-tests"
    seen = families(worker)
    told = {
        name: {(each.labels["model"], each.labels.get(label, "")): each.value for each in seen[name].samples
               if each.labels["door"] == "predict" and each.name.endswith(("_total", "_count"))}
        for name, label in (("flyball_requests", "status"), ("flyball_errors", "kind"), ("flyball_request_seconds", "door"))
    }  # fmt: skip
    assert told["flyball_requests"] == {
        ("shop", "200"): 2.0,
        ("sick", "503"): 1.0,
        ("sick", "200"): 1.0,
        ("lost", "503"): 1.0,
        ("", "404"): 1.0,
    }
    assert told["flyball_errors"] == {("sick", "ModelFailed"): 1.0, ("lost", "HttpRefused"): 1.0, ("", "NotFound"): 1.0}
    assert told["flyball_request_seconds"] == {
        ("shop", "predict"): 2.0,
        ("sick", "predict"): 2.0,
        ("lost", "predict"): 1.0,
        ("", "predict"): 1.0,
    }


def test_onnxruntime_tells_its_maker_nothing(rig, served, monkeypatch):
    home = rig.directory / "home"
    home.mkdir()
    for silencer in ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(silencer, raising=False)
    rig.publish(table(1, served))
    worker = traced(rig, monkeypatch, HOME=str(home))
    assert worker.predict(ROW).status_code == 200
    assert list(home.rglob("*")) == []  # neither a device id nor the database of events that wait to be sent


def told_of(worker):
    """(worker, model, metric), of all that is told by model: what it has counted."""
    return {
        (sample.labels["worker"], sample.labels["model"], sample.name)
        for family in families(worker).values()
        for sample in family.samples
        if sample.labels.get("model")
    }


def test_a_model_that_is_routed_no_more_has_no_series_at_any_worker(rig, served):
    unit = msgspec.structs.replace(served.unit, id="u0000gone", model="gone")
    gone = Route(model="gone", champion=msgspec.structs.replace(served, unit=unit))
    both = table(1, served)
    rig.publish(msgspec.structs.replace(both, routes=(*both.routes, gone)))
    workers = [rig.start("w0"), rig.start("w1")]
    for worker in workers:
        worker.http.headers["authorization"] = "Bearer owner-token-of-the-tests"
        for model in ("shop", "gone"):
            assert worker.http.post(f"/models/{model}/predict", json={"rows": [ROW], "ids": [f"{model}-1"]}).status_code == 200
            labelled = {"labels": [{"id": f"{model}-1", "label": "yes"}]}
            assert worker.http.post(f"/models/{model}/labels", json=labelled).status_code == 200
    before = told_of(workers[0])
    assert {
        (f"w{at}", "gone", name) for at in range(2) for name in ("flyball_batch_rows_count", "flyball_labels_total")
    } <= before
    rig.publish(table(2, served))
    for worker in workers:
        assert worker.reload().status_code == 200
    assert told_of(workers[0]) == {each for each in before if each[1] == "shop"}
