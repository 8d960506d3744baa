"""Exports and imports of a whole project: what is asked for wrongly is refused before anything is read or sent."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import polars as pl
import pytest

from flyball.adapters.known_process import known
from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.supervisor import run_file
from flyball.cli.init import start_project
from flyball.control.label_import import LabelImport
from flyball.control.reports import UpReport
from flyball.control.world import EPOCH, draft, put
from flyball.errors import GatewayUnreachable, StoreUnavailable, UserError
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import LabelBatch
from flyball.records.routing import Route, RoutingTable, ServedUnit
from flyball.records.signature import Signature
from flyball.records.unit import Format, Unit
from flyball.wiring.captured import Captured
from flyball.wiring.workspace import open_workspace


def say(_style: str, _words: str) -> None:
    """Nobody listens."""


@pytest.fixture
def captured(tmp_path: Path) -> Captured:
    start_project(tmp_path / "shop")
    return open_workspace(tmp_path / "shop").captured


class Takes(BaseHTTPRequestHandler):
    """A gateway that takes every label."""

    labels: ClassVar[list[object]] = []

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))["labels"]
        self.labels.extend(each["label"] for each in sent)
        answer = json.dumps({"accepted": len(sent)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Nobody reads it."""


@pytest.fixture
def gateway(tmp_path: Path, captured: Captured) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Takes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        me, url = msgspec.structs.asdict(known(os.getpid())), f"http://127.0.0.1:{server.server_port}"
        run_file.write(tmp_path / "shop" / ".flyball", run_file.RunFile(**me, gateway_url=url, control_url=None))
        yield
        server.shutdown()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (LabelImport(None, None, None), "no labels"),
        (LabelImport(Path("o.csv"), "ORDERS_URL", "select 1"), "a file and --sql"),
        (LabelImport(None, "postgresql://me:secret@host/orders", "select 1"), "not the name of an environment variable"),
        (LabelImport(None, "ORDERS_URL", None), "--sql without --query"),
    ],
)
def test_an_import_needs_a_file_or_a_named_database_and_repeats_no_secret(
    captured: Captured, wanted: LabelImport, words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        captured.import_labels(wanted, say)
    assert "secret" not in caught.value.message


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("refused", [BrokenPipeError(), SystemExit(1), StoreUnavailable("stdout is full")])
def test_that_it_serves_is_told_to_nobody_where_nobody_reads_any_more(tmp_path: Path, refused: BaseException) -> None:
    told: list[str] = []

    def ready(report: UpReport) -> None:
        told.append(report.model)
        raise refused

    open_workspace(tmp_path / "shop")._tell_when_live(ready)  # in a thread of `flyball up`, whose trace would be all that it says
    assert told == ["shop"]


def test_without_a_gateway_nothing_is_imported_and_the_next_step_is_told(captured: Captured) -> None:
    with pytest.raises(GatewayUnreachable, match="flyball up --detach"):
        captured.import_labels(LabelImport(Path("o.csv"), None, None), say)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("columns", "warned"), [("'a' as id, '1' as label", True), ("'a' as id, '1' as label, '2026-01-01' as observed_at", False)]
)
def test_a_query_that_does_not_say_when_outcomes_became_known_is_told_what_that_means(
    captured: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str, warned: bool
) -> None:
    monkeypatch.setenv("ORDERS_URL", f"sqlite:///{tmp_path / 'orders.db'}")
    said: list[tuple[str, str]] = []
    wanted = LabelImport(None, "ORDERS_URL", f"select {columns}")
    report = captured.import_labels(wanted, lambda style, words: said.append((style, words)))
    assert (report.accepted, report.trouble) == (1, "")
    assert [style for style, words in said if "observed_at" in words] == (["bad"] if warned else [])
    path = tmp_path / "outcomes.csv"
    path.write_text("id,label\na,1\n")
    captured.import_labels(LabelImport(path, None, None), lambda style, words: said.append((style, words)))
    assert len([style for style, _ in said if style == "bad"]) == warned  # a file was written at some time


@pytest.mark.usefixtures("gateway")
def test_labels_are_read_as_the_served_model_answers_whatever_flyball_yaml_says_by_now(
    captured: Captured, tmp_path: Path
) -> None:
    unit = Unit(id="u1", model="shop", version=1, manifest_digest="d", threshold=None, policy_digest="p")
    served = ServedUnit(unit=unit, package="/nowhere", format=Format.ONNX, signature=Signature(task="regression", columns=()))
    table = RoutingTable(revision=1, written_at=EPOCH, routes=(Route(model="shop", champion=served),))
    ledger = SqliteLedger(tmp_path / "shop" / ".flyball")
    ledger.transact([draft(EPOCH, "routing.published", "model:shop", {}, (put("routing", "shop", table),))], epoch=None)
    path = tmp_path / "outcomes.csv"
    path.write_text("id,label\na,1.5\nb,n/a\n")
    Takes.labels.clear()
    captured.import_labels(LabelImport(path, None, None), say)
    assert Takes.labels == [1.5]


def test_an_export_that_names_no_place_goes_below_the_state_for_this_account_alone(captured: Captured, tmp_path: Path) -> None:
    state = tmp_path / "shop" / ".flyball"
    writer = CaptureWriter(state / "capture", "0", lambda: 1)
    assert writer.hand_over([LabelBatch(at_us=1, model="shop", ids=["a"], values=["1"], observed_us=[None])])
    report = captured.export("delta", None, None, None, say)
    assert report.directory == str(state / "tables" / "delta")
    assert state.stat().st_mode & 0o777 == 0o700
    assert pl.read_delta(str(state / "tables" / "delta" / "labels"))["id"].to_list() == ["a"]
