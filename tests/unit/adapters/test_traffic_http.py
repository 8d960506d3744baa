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
from flyball.errors import GatewayUnreachable, StoreUnavailable

AT = datetime(2013, 3, 1, 6, tzinfo=UTC)


class Gateway:
    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.status, self.short, self.drop = 200, 0, 0
        self.known: set[object] | None = None
        """Labels that it can take; None: any."""
        self.whole = False
        """Whether a row without x is one that it cannot take."""
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
        paths = [f"labels[{at}].label" for at in bad]
        if self.whole:
            paths += [f"rows[{at}].x" for at, row in enumerate(body.get("rows", [])) if row["x"] is None]
        return [{"path": path, "row": None, "found": "", "expected": ""} for path in paths[: self.told]]


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


def ask(traffic: HttpTraffic) -> int | None:
    return traffic.predict("m", [{"x": 1.5, "c": None}, {"x": float("nan"), "c": "é"}], ids=["a", "b"], keys=["k", "k"], at=AT)


def test_rows_go_with_ids_keys_token_and_event_time(gateway: Gateway, traffic: HttpTraffic) -> None:
    assert ask(traffic) == 0
    assert traffic.label("m", ["a"], [1], [AT], at=AT) == 0
    (path, headers, body), (label_path, _, label_body) = gateway.seen
    assert (path, label_path) == ("/models/m/predict", "/models/m/labels")
    assert body == {"rows": [{"x": 1.5, "c": None}, {"x": None, "c": "é"}], "ids": ["a", "b"], "keys": ["k", "k"]}
    assert (headers["x-flyball-event-time"], headers["authorization"]) == ("2013-03-01T06:00:00Z", "Bearer secret")
    assert label_body == {"labels": [{"id": "a", "label": 1, "observed_at": "2013-03-01T06:00:00Z"}]}
    assert (traffic.requests, traffic.failed, traffic.retries) == (2, 0, 0)


def test_a_broken_connection_is_tried_three_times_more(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.drop = 3
    assert ask(traffic) == 0
    assert (traffic.requests, traffic.failed, traffic.retries) == (1, 0, 3)
    gateway.drop = 4
    with pytest.raises(GatewayUnreachable, match=r"does not answer: /models/m/predict.*then `flyball replay` goes on"):
        ask(traffic)
    assert (traffic.requests, traffic.failed, traffic.retries) == (2, 1, 6)
    gateway.drop = 4
    with pytest.raises(GatewayUnreachable):
        traffic.label("m", ["a"], [1], [AT], at=AT)


def test_an_answer_is_never_asked_twice(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.status = 503
    assert ask(traffic) is None
    with pytest.raises(StoreUnavailable, match=r"labels could not be handed over: .* answered 503"):
        traffic.label("m", ["a"], [1], [AT], at=AT)
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


def test_rows_that_the_model_does_not_take_are_left_out_and_the_others_are_sent_again(
    gateway: Gateway, traffic: HttpTraffic
) -> None:
    gateway.whole, gateway.told = True, 2
    rows = [{"x": None if at % 8 == 0 else 1.0} for at in range(24)]
    names = [f"p{at}" for at in range(24)]
    assert traffic.predict("m", rows, ids=names, keys=names, at=AT) == 3
    assert gateway.seen[-1][2]["ids"] == gateway.seen[-1][2]["keys"] == [name for at, name in enumerate(names) if at % 8]
    assert (len(gateway.seen), traffic.failed) == (3, 0)
    assert "answered 422" in traffic.last_error
    assert traffic.predict("m", rows[:1], ids=names[:1], keys=names[:1], at=AT) == 1, "nothing is left to send"


def test_a_refusal_that_names_no_label_is_a_failure(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.status = 422
    assert traffic.label("m", ["a"], ["yes"], [AT], at=AT) is None
    assert ask(traffic) is None
    assert traffic.failed == 2


def test_a_row_without_an_answer_is_a_failed_request(gateway: Gateway, traffic: HttpTraffic) -> None:
    gateway.short = 1
    assert ask(traffic) is None
    assert "1 of 2 rows" in traffic.last_error
