"""The replay's client: what it sends, what it counts, what it asks twice."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from flyball.adapters import traffic_http
from flyball.adapters.traffic_http import HttpTraffic

AT = datetime(2013, 3, 1, 6, tzinfo=UTC)


class Gateway:
    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.status, self.short, self.drop = 200, 0, 0
        self.known: set[object] | None = None
        """Labels that it can take; None: any."""
        self.told = 20
        """Faults that it names at most, as the real one does."""
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if gateway.drop:
                    gateway.drop -= 1
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                gateway.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if faults := gateway.faults(body):
                    self.answer(422, {"detail": "The request has faults", "faults": faults})
                    return
                answered = [{"id": id_} for id_ in body.get("ids", [])][gateway.short :]
                self.answer(gateway.status, {"predictions": answered})

            def answer(self, status: int, said: object) -> None:
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def faults(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        given = [each["label"] for each in body.get("labels", [])]
        bad = [at for at, label in enumerate(given) if self.known is not None and label not in self.known]
        return [{"path": f"labels[{at}].label", "row": None, "found": "", "expected": ""} for at in bad[: self.told]]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@pytest.fixture
def traffic(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpTraffic]:
    monkeypatch.setattr(traffic_http, "WAITS_SECONDS", (0.01, 0.01, 0.01))
    made = HttpTraffic(gateway.url, "secret")
    yield made
    made.close()


def ask(traffic: HttpTraffic) -> bool:
    return traffic.predict("m", [{"x": 1.5, "c": None}, {"x": float("nan"), "c": "é"}], ids=["a", "b"], keys=["k", "k"], at=AT)


def test_rows_go_with_ids_keys_token_and_event_time(gateway: Gateway, traffic: HttpTraffic) -> None:
    assert ask(traffic)
    assert traffic.label("m", ["a"], [1], [AT], at=AT) == 0
    (path, headers, body), (label_path, _, label_body) = gateway.seen
    assert (path, label_path) == ("/models/m/predict", "/models/m/labels")
    assert body == {"rows": [{"x": 1.5, "c": None}, {"x": None, "c": "é"}], "ids": ["a", "b"], "keys": ["k", "k"]}
    assert (headers["x-flyball-event-time"], headers["authorization"]) == ("2013-03-01T06:00:00Z", "Bearer secret")
    assert label_body == {"labels": [{"id": "a", "label": 1, "observed_at": "2013-03-01T06:00:00Z"}]}
    assert (traffic.requests, traffic.failed, traffic.retries) == (2, 0, 0)


def test_a_broken_connection_is_tried_three_times_more(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.drop = 3
    assert ask(traffic)
    assert (traffic.requests, traffic.failed, traffic.retries) == (1, 0, 3)
    gateway.drop = 4
    assert not ask(traffic)
    assert (traffic.requests, traffic.failed, traffic.retries) == (2, 1, 6)


def test_an_answer_is_never_asked_twice(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.status = 503
    assert not ask(traffic)
    assert traffic.label("m", ["a"], [1], [AT], at=AT) is None
    assert (len(gateway.seen), traffic.failed, traffic.retries) == (2, 2, 0)
    assert "answered 503" in traffic.last_error


def test_labels_that_are_none_are_left_out_and_the_others_are_sent_again(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.known, gateway.told = {"yes", "no"}, 2
    labels = ["yes", "None", "no", "maybe", "yes", "never", "no"]
    ids = [f"p{at}" for at in range(len(labels))]
    assert traffic.label("m", ids, labels, [AT] * len(labels), at=AT) == 3
    assert [each["id"] for each in gateway.seen[-1][2]["labels"]] == ["p0", "p2", "p4", "p6"]
    assert (len(gateway.seen), traffic.failed) == (3, 0)
    assert traffic.label("m", ["a", "b"], ["never", "never"], [AT, AT], at=AT) == 2, "nothing is left to send"


def test_a_refusal_that_names_no_label_is_a_failure(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.status = 422
    assert traffic.label("m", ["a"], ["yes"], [AT], at=AT) is None
    assert traffic.failed == 1


def test_a_row_without_an_answer_is_a_failed_request(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.short = 1
    assert not ask(traffic)
    assert "1 of 2 rows" in traffic.last_error
