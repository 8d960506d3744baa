"""A real gateway process and everything a client may send it: right answers for good requests, named faults for bad ones, never a 500."""

import gzip
import json
import os
import socket
import stat
import zlib

import httpx
import numpy as np
import pandas as pd
import pytest
from gateway_rig import CLIENT, OWNER, ROW, SIGNATURE, Rig, onnx_model, package, table

from flyball.gateway.routes import DOORS
from flyball.machine.birth import birth_of
from flyball.records.captured import LabelBatch, PredictionBatch
from flyball.records.unit import Format

DATATYPES = {"age": "FP32", "income": "FP64", "visits": "INT64", "member": "BOOL", "town": "BYTES"}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    directory = tmp_path_factory.mktemp("requests")
    rig = Rig(directory / "state")
    content, twin = onnx_model()
    unit = package(directory / "v1", Format.ONNX, content, SIGNATURE, threshold=0.5)
    rig.publish(table(1, unit))
    worker = rig.start("w0", "--max-body-mb", "1")
    yield rig, worker, unit, twin
    assert worker.stop() == 0
    rig.close()


@pytest.fixture(scope="module")
def rig(setting):
    return setting[0]


@pytest.fixture(scope="module")
def worker(setting):
    return setting[1]


def infer(*rows, **more):
    names = list(rows[0])
    inputs = [{"name": n, "shape": [len(rows), 1], "datatype": DATATYPES[n], "data": [row[n] for row in rows]} for n in names]
    return {"inputs": inputs, **more}


def many_rows(n, seed=3):
    draw = np.random.default_rng(seed)
    return [
        {
            "age": float(np.float32(draw.uniform(18, 90))),
            "income": float(np.float32(draw.uniform(0, 5000))),
            "visits": int(draw.integers(9)),
            "member": bool(draw.integers(2)),
            "town": str(draw.choice(["Oslo", "Rome", "Lima"])),
        }
        for _ in range(n)
    ]


@pytest.mark.parametrize("n", [1, 2, 100, 3000])
def test_answers_are_those_of_the_model_in_the_order_of_the_rows(setting, n):
    _, worker, unit, twin = setting
    rows = many_rows(n, seed=n)
    frame = pd.DataFrame(rows).astype({"age": "float32", "income": "float32", "visits": "float32", "member": "float32"})
    expected = twin.predict_proba(frame)[:, 1]
    answer = worker.predict(*[dict(sorted(row.items())) for row in rows]).json()
    assert [each["score"] for each in answer["predictions"]] == pytest.approx(expected.tolist(), abs=2e-5)
    assert [each["label"] for each in answer["predictions"]] == [
        "yes" if each["score"] >= 0.5 else "no" for each in answer["predictions"]
    ]
    assert answer["unit"] == unit.unit.id
    assert len({each["id"] for each in answer["predictions"]}) == n


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/models/shop/predict?explain=true", '"explain": true'),
        ("/models/shop/labels?model=shop", '"model"'),
        ("/labels?model=shop", '"model"'),
    ],
)
def test_a_query_that_would_be_passed_over_is_refused_with_what_to_write_instead(worker, path, words):
    answer = worker.http.post(path, json={"rows": [ROW]})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"].startswith(f"The query ?{path.partition('?')[2]}. Expected: none. Next: ")
    assert words in answer.json()["detail"]


def test_a_query_is_told_cut_short_and_an_empty_one_is_none(worker):
    assert worker.http.post("/models/shop/predict?", json={"rows": [ROW]}).status_code == 200
    told = worker.http.post("/models/shop/predict?" + "q" * 3000, json={"rows": [ROW]})
    assert (told.status_code, told.json()["detail"].count("q")) == (400, 81)  # one of them in `query`


@pytest.mark.parametrize("rows", [1, 5000])
@pytest.mark.parametrize("path", ["/models/shop/predict", "/models/shop/labels", "/v2/models/shop/infer"])
def test_a_byte_order_mark_is_called_by_its_name_at_every_door(worker, path, rows):
    given = {
        "predict": {"rows": [ROW] * rows},
        "labels": {"labels": [{"id": "a", "label": "yes"}] * rows},
        "infer": infer(*[ROW] * rows),
    }
    body = b"\xef\xbb\xbf" + json.dumps(given[path.rpartition("/")[2]]).encode()
    answer = worker.http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["found"] == "a byte order mark before the JSON"


def test_open_inference_passes_over_queries(worker):
    assert worker.http.post("/v2/models/shop/infer?trace=1", json=infer(ROW)).status_code == 200


def test_both_protocols_answer_alike(worker):
    rows = many_rows(7)
    plain = [each["score"] for each in worker.predict(*rows).json()["predictions"]]
    answer = worker.http.post("/v2/models/shop/infer", json=infer(*rows, id="q-1")).json()
    assert answer["id"] == "q-1"
    assert answer["outputs"][0] == {"name": "scores", "datatype": "FP64", "shape": [7, 1], "data": plain}
    assert answer["outputs"][1]["datatype"] == "BYTES"
    assert len(answer["parameters"]["prediction_ids"]) == 7
    only = worker.http.post("/v2/models/shop/infer", json=infer(*rows, outputs=[{"name": "label"}])).json()
    assert [each["name"] for each in only["outputs"]] == ["label"]


def test_metadata_describes_the_inputs_that_infer_takes(worker):
    assert worker.http.get("/v2").json()["name"] == "flyball"
    metadata = worker.http.get("/v2/models/shop").json()
    assert [each["name"] for each in metadata["inputs"]] == list(ROW)
    assert worker.http.get("/v2/models/shop/ready").json()["ready"]
    assert worker.http.get("/v2/models/nobody").status_code == 404


def test_ids_and_keys_are_the_clients_if_it_brings_them(rig, worker):
    answer = worker.predict(ROW, ROW, ids=["order 7\u00e9", "b"], keys=["k1", "k2"])
    assert [each["id"] for each in answer.json()["predictions"]] == ["order 7\u00e9", "b"]
    assert answer.headers["x-flyball-prediction-id"] == "order%207%C3%A9"
    record = [each for each in rig.captured() if isinstance(each, PredictionBatch)][-1]
    assert (record.ids, record.keys, record.role) == (["order 7\u00e9", "b"], ["k1", "k2"], "champion")
    assert record.columns["town"] == ["Oslo", "Oslo"]
    assert record.columns["member"] == [1.0, 1.0]


def test_features_are_captured_as_used_and_missing_as_none(rig, worker):
    worker.predict({**ROW, "age": 0.1, "income": None})
    record = [each for each in rig.captured() if isinstance(each, PredictionBatch)][-1]
    assert record.columns["age"] == [float(np.float32(0.1))]
    assert record.columns["income"] == [None]


def test_labels_are_captured_as_the_signature_spells_them(rig, worker):
    labels = [{"id": "a", "label": "yes", "observed_at": "2026-11-22T15:00:00.5+01:00"}, {"id": "a", "label": "no"}]
    answer = worker.http.post("/models/shop/labels", json={"labels": labels})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 2})
    record = [each for each in rig.captured() if isinstance(each, LabelBatch)][-1]
    assert (record.ids, record.values, record.observed_us) == (["a", "a"], ["yes", "no"], [1795356000500000, None])


@pytest.mark.parametrize(
    ("label", "field"),
    [
        ({"label": "yes"}, "labels[0].id"),
        ({"id": 7, "label": "yes"}, "labels[0].id"),
        ({"id": "a"}, "labels[0].label"),
        ({"id": "a", "label": "maybe"}, "labels[0].label"),
        ({"id": "a", "label": 1}, "labels[0].label"),
        ({"id": "a", "label": "yes", "observed_at": "2026-11-22T15:00:00"}, "labels[0].observed_at"),
        ({"id": "a", "label": "yes", "observed_at": 1795356000}, "labels[0].observed_at"),
        ({"id": "a", "label": "yes", "extra": 1}, "labels[0].extra"),
        ("a", "labels[0]"),
    ],
)
def test_a_wrong_label_is_named(worker, label, field):
    answer = worker.http.post("/models/shop/labels", json={"labels": [label]})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == field


def test_a_label_that_says_two_things_is_refused(worker):
    for body in (b'{"labels": [{"id": "a:b", "label": "yes", "observed_at": "2026-11-22T15:00:00Z", "label": "no"}]}',
                 b'{"labels": [{"id": "\\u003a", "label": "yes", "label": "no"}]}'):  # fmt: skip
        answer = worker.http.post("/models/shop/labels", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["faults"][0]["path"]) == (422, "labels[0].label")


BAD_ROWS = {
    "text in a number": ({"age": "7"}, "age"),
    "true as a number": ({"age": True}, "age"),
    "null": ({"age": None}, "age"),
    "below": ({"age": -1}, "age"),
    "above": ({"age": 1000}, "age"),
    "list": ({"age": [1]}, "age"),
    "object": ({"age": {}}, "age"),
    "beyond float32": ({"income": 1e300}, "income"),
    "fraction": ({"visits": 1.5}, "visits"),
    "text in an integer": ({"visits": "1"}, "visits"),
    "one as a boolean": ({"member": 1}, "member"),
    "text as a boolean": ({"member": "true"}, "member"),
    "number as a category": ({"town": 7}, "town"),
    "null category": ({"town": None}, "town"),
    "NUL": ({"town": "Oslo\0x"}, "town"),
    "renamed": ({"tovn": "Oslo"}, "tovn"),
}


@pytest.mark.parametrize("changes", BAD_ROWS)
@pytest.mark.parametrize("beside", [0, 99])
def test_a_bad_row_is_named_alone_and_in_a_batch(worker, changes, beside):
    row, field = BAD_ROWS[changes]
    answer = worker.predict(*[ROW] * beside, {**ROW, **row})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    fault = answer.json()["faults"][0]
    assert (fault["row"], fault["field"]) == (beside, field)
    assert fault["expected"]


@pytest.mark.parametrize("column", list(ROW))
def test_an_absent_column_is_refused_unless_it_may_be_missing(worker, column):
    answer = worker.predict({name: value for name, value in ROW.items() if name != column})
    assert answer.status_code == (200 if column == "income" else 422)


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"age=7",
    "NaN": b'{"rows": [{"age": NaN}]}',
    "Infinity": b'{"rows": [{"age": -Infinity}]}',
    "1e400": b'{"rows": [{"age": 1e400}]}',
    "4301 digits": b'{"rows": [{"age": ' + b"1" * 4301 + b"}]}",
    "deep": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "lone surrogate": b'{"rows": [{"town": "\\ud800"}]}',
    "invalid UTF-8": b'{"rows": [{"town": "\xff\xfe"}]}',
    "UTF-16": '{"rows": []}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf{"rows": []}',
    "no rows": b'{"rows": []}',
    "rows null": b'{"rows": null}',
    "row is a list": b'{"rows": [[1, 2]]}',
    "unknown field": b'{"rows": [{}], "explain": 1}',
    "list": b"[]",
    "duplicate ids": b'{"rows": [%s, %s], "ids": ["a", "a"]}' % ((json.dumps(ROW).encode(),) * 2),
    "ids of another length": b'{"rows": [%s], "ids": []}' % json.dumps(ROW).encode(),
    "newline in an id": b'{"rows": [%s], "ids": ["a\\r\\nx-evil: 1"]}' % json.dumps(ROW).encode(),
}


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("path", ["/models/shop/predict", "/v2/models/shop/infer", "/models/shop/labels"])
def test_a_bad_body_is_refused_and_the_next_request_answered(worker, body, path):
    answer = worker.http.post(path, content=BAD_BODIES[body], headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["faults"]
    assert worker.predict(ROW).status_code == 200


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"datatype": "BYTES"}, "inputs[0].datatype"),
        ({"datatype": ["FP32"]}, "inputs[0].datatype"),
        ({"shape": [2]}, "inputs[0].shape"),
        ({"shape": [True]}, "inputs[0].shape"),
        ({"shape": "x"}, "inputs[0].shape"),
        ({"data": None}, "inputs[0].data"),
        ({"data": ["7"]}, "rows[0].age"),
        ({"data": [[1, 2]]}, "rows[0].age"),
        ({"data": []}, "inputs[0].shape"),
        ({"name": "nobody"}, "inputs[0].name"),
        ({"name": "town"}, "inputs[0].datatype"),
        ({"name": 7}, "inputs[0]"),
    ],
)
def test_a_bad_input_of_the_open_protocol_is_named(worker, change, path):
    body = infer(ROW)
    body["inputs"][0] |= change
    answer = worker.http.post("/v2/models/shop/infer", json=body)
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == path


def test_sizes_and_forms_that_are_refused_say_the_limit(worker):
    big = worker.http.post("/models/shop/predict", content=b" " * (1024**2 + 1), headers={"content-type": "application/json"})
    assert (big.status_code, "1048576" in big.json()["detail"]) == (413, True)
    chunked = worker.http.post(
        "/models/shop/predict", content=(b" " * 65536 for _ in range(40)), headers={"content-type": "application/json"}
    )
    assert chunked.status_code == 413
    assert worker.http.post("/models/shop/predict", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    packed = worker.http.post("/models/shop/predict", content=b"{}", headers={"content-encoding": "br"})
    assert (packed.status_code, packed.headers["accept-encoding"]) == (415, "gzip, deflate")


def test_a_compressed_body_is_answered_as_it_would_be_without(worker):
    """A small one, and one that is read in slices."""
    for n in (1, 5000):
        plain = json.dumps({"rows": [ROW] * n, "ids": [str(at) for at in range(n)]}).encode()
        asked = {"content-type": "application/json"}
        want = worker.http.post("/models/shop/predict", content=plain, headers=asked).json()
        for coding, packed in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain)), ("GZIP", gzip.compress(plain))):
            answer = worker.http.post("/models/shop/predict", content=packed, headers={**asked, "content-encoding": coding})
            assert (answer.status_code, answer.json()) == (200, want)


def test_a_compressed_body_that_grows_too_large_or_cannot_be_read_is_refused(worker):
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < 1024**2
    answer = worker.http.post("/models/shop/predict", content=bomb, headers={"content-encoding": "gzip"})
    assert (answer.status_code, "1048576" in answer.json()["detail"]) == (413, True)
    for wrong in (b"{}", b"", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"{}"):
        answer = worker.http.post("/models/shop/predict", content=wrong, headers={"content-encoding": "gzip"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), wrong
    assert worker.predict(ROW).status_code == 200


def test_every_door_for_every_role_is_as_the_table_says(worker):
    found = {}
    for (method, pattern), door in DOORS.items():
        path = "/" + "/".join(pattern).replace("*", "shop").replace("#", "1")
        for name, token in {"anonymous": None, "wrong": "x", "client": CLIENT, "owner": OWNER}.items():
            headers = {"authorization": f"Bearer {token}"} if token else {}
            for side, client in {"public": worker.http, "admin": worker.admin}.items():
                answer = httpx.request(
                    method, str(client.base_url).rstrip("/") + path, headers=headers, json={} if method == "POST" else None
                )
                found[door.name, name, side] = answer.status_code
    for (door, role, side), status in found.items():
        if door in ("own_metrics", "served", "reload") and side == "public":
            assert status == 404, (door, role)
        elif door in ("live", "ready"):
            assert status == 200
        elif role in ("anonymous", "wrong"):
            assert status == 401
        elif role == "client" and door in ("metrics", "own_metrics", "served", "reload"):
            assert status == 403
        else:
            assert status in (200, 422)


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_whoever_asks_how_it_is_need_not_know_its_name(worker, path):
    """A kubelet calls a container by its address."""
    for method in ("GET", "HEAD"):
        assert httpx.request(method, f"{worker.http.base_url}{path}", headers={"host": "10.0.0.7:8740"}).status_code == 200
    assert worker.http.get(path, headers={"host": "evil.test", "origin": "http://evil.test"}).status_code == 421
    assert worker.http.get(path, headers={"origin": "http://evil.test"}).status_code == 403


def test_a_foreign_page_or_name_is_refused_even_with_a_token(worker):
    for method, path in (
        ("GET", "/v2/models/shop/ready"),
        ("POST", "/models/shop/predict"),
        ("DELETE", "/v2"),
        ("GET", "/metrics"),
    ):
        assert worker.http.request(method, path, headers={"host": "evil.test"}).status_code == 421
        assert worker.http.request(method, path, headers={"origin": "https://evil.test"}).status_code == 403


def test_raw_nonsense_never_gets_a_500(worker):
    for raw in (
        b"GET /v2/health/live HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"POST /models/%00/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + CLIENT.encode()
        + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /models/%ff%fe/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + CLIENT.encode()
        + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /models/../../etc/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"\x16\x03\x01\x00",
        b"BREW /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", worker.card["port"]), timeout=5) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            first = connection.recv(4096)
        assert not first.startswith(b"HTTP/1.1 5"), raw


def test_metrics_count_what_happened_and_stay_small(worker):
    lines = []
    for some in (range(1), range(1, 30)):
        for at in some:
            worker.http.get(f"/v2/models/nobody-{at}")
            worker.http.get(f"/nowhere/{at}")
        text = worker.http.get("/metrics", headers={"authorization": f"Bearer {OWNER}"}).text
        lines.append(len(text.splitlines()))
    assert 'flyball_rows_total{model="shop"' in text
    assert "nobody" not in text
    assert lines[1] - lines[0] < 20  # the first scrape itself is counted by the second; what clients invent is not a series


def test_the_card_tells_where_the_worker_is_to_its_owner_only(rig, worker):
    card = rig.directory / "gateways" / "w0.json"
    birth = {"ticks", "boot"} if birth_of(worker.process.pid).ticks is not None else set()
    assert set(worker.card) == {"pid", "port", "admin_port", "started", "device", "inode"} | birth
    assert worker.card["pid"] == worker.process.pid
    assert stat.S_IMODE(os.stat(card).st_mode) == 0o600
