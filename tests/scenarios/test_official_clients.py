"""The official clients of the Open Inference Protocol against a real gateway and unmodified."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from gateway_rig import CLIENT, SIGNATURE, Rig, onnx_model, package, table

from flyball.gateway.openinference.messages import OPEN_INFERENCE, messages
from flyball.records.unit import Format

PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"
SCRIPT = Path(__file__).parents[1] / "clients" / "official.py"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="the clients have an environment of their own: `make clients`")

ROWS = pd.DataFrame(
    {
        "age": [41.5, 20.0, 77.25], "income": [1000.0, None, 3.5], "visits": [3.0, 0.0, 8.0], "member": [1.0, 0.0, 1.0],
        "town": ["Oslo", "Rome", "Lima"],
    }
)  # fmt: skip
NUMERIC = ["age", "income", "visits", "member"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clients")
    rig = Rig(directory / "state")
    content, twin = onnx_model()
    rig.publish(table(1, package(directory / "v1", Format.ONNX, content, SIGNATURE, threshold=0.5)))
    worker = rig.start("w0", "--grpc-port", "0")
    ports = str(worker.card["port"]), str(worker.card["grpc_port"])
    try:
        told = {client: run(client, *ports) for client in ("tritonclient", "kserve")}
        assert worker.stop() == 0
        assert "incident" not in (rig.directory / "w0.log").read_text()
    finally:
        rig.close()
    return {**told["tritonclient"], "kserve": told["kserve"]}, twin


def run(client, *ports):
    done = subprocess.run([PYTHON, SCRIPT, client, *ports, CLIENT], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def scores(twin, rows):
    return twin.predict_proba(rows.astype(dict.fromkeys(NUMERIC, "float32")))[:, 1].tolist()


@pytest.mark.parametrize("way", ["http_binary", "http_json", "grpc"])
def test_tritonclient_gets_the_models_answers(seen, way):
    told, twin = seen[0][way], seen[1]
    rows = ROWS.fillna({"income": 7.0}) if way == "http_json" else ROWS  # its JSON cannot say that a number is missing
    expected = scores(twin, rows)
    labels = ["yes" if score >= 0.5 else "no" for score in expected]
    for asked in ("all", "version", "keys"):
        assert told[asked]["scores"] == pytest.approx(expected, abs=2e-5)
        assert told[asked]["labels"] == labels
    assert told["label"] == {"scores": None, "labels": labels}


@pytest.mark.parametrize("way", ["http_binary", "http_json", "grpc"])
def test_tritonclient_sees_health_and_readiness(seen, way):
    told = seen[0][way]
    assert (told["live"], told["ready"], told["model_ready"], told["nobody_ready"]) == (True, True, True, False)
    assert told["version_ready"] == [True, False]


@pytest.mark.parametrize(
    ("fault", "statuses", "words"),
    [
        ("value", ("422", "StatusCode.INVALID_ARGUMENT"), "rows[2].age: found 1000.0, expected a number from 0 to 150"),
        ("column", ("422", "StatusCode.INVALID_ARGUMENT"), "rows[0].town: found nothing"),
        ("model", ("404", "StatusCode.NOT_FOUND"), "There is no model 'nobody' here. Expected: shop"),
        ("version", ("404", "StatusCode.NOT_FOUND"), "Version '9' of shop is not served here. Expected: 1"),
        ("token", ("401", "StatusCode.UNAUTHENTICATED"), "No token was sent"),
    ],
)
def test_tritonclient_shows_the_sentence_of_a_refusal(seen, fault, statuses, words):
    for way, status in (("http_binary", statuses[0]), ("grpc", statuses[1])):
        found = seen[0][way]["refused"][fault]
        assert found[0] == status
        assert words in found[1]


def test_kserves_client_gets_the_same(seen):
    told, twin = seen[0]["kserve"], seen[1]
    assert told["health"] == [True, True, True]
    assert told["binary"] == pytest.approx(scores(twin, ROWS), abs=2e-5)
    assert told["json"] == pytest.approx(scores(twin, ROWS.fillna({"income": 7.0})), abs=2e-5)
    assert "an empty list" in told["refused"]


def test_metadata_and_index_are_read_by_the_clients(seen):
    server, model = seen[0]["http_metadata"]
    assert (server["name"], server["extensions"]) == ("flyball", ["binary_tensor_data"])
    assert [each["name"] for each in model["inputs"]] == [column.name for column in SIGNATURE.columns]
    rpc_server, rpc_model = seen[0]["grpc_metadata"]
    assert rpc_server == server
    assert (rpc_model["versions"], rpc_model["platform"]) == (model["versions"], model["platform"])
    assert seen[0]["index"] == [{"name": "shop", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("client", ["tritonclient", "kserve"])
def test_our_messages_have_the_bytes_of_the_clients(seen, client):
    theirs = (seen[0] if client == "tritonclient" else seen[0]["kserve"])["fields"]
    for name, ours in messages(OPEN_INFERENCE).items():
        for field in ours.DESCRIPTOR.fields:
            expected = theirs[f"{OPEN_INFERENCE}.{name}"].get(field.name)
            if expected is not None or field.name not in (
                "uint64_param",
                "double_param",
            ):  # younger than some releases of the clients
                assert [field.number, field.type, field.is_repeated] == expected, (name, field.name)
