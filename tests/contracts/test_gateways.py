"""What the Gateways port promises, over files and a real loopback port, and in memory."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.entropy import fresh_token
from flyball.adapters.gateways_http import HttpGateways
from flyball.adapters.gateways_memory import MemoryGateways
from flyball.adapters.heartbeat import LeaseFile
from flyball.adapters.supervisor import GatewayProcess
from flyball.adapters.token import owner_token
from flyball.errors import Conflict, StoreUnavailable
from flyball.machine.birth import birth_of
from flyball.records import codec
from flyball.records.routing import GatewayReport, Route, RoutingTable, ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = Signature(task="regression", columns=(Column(name="x", type=ColumnType.NUMBER),))


def table(revision: int, unit: str = "u1") -> RoutingTable:
    served = Unit(id=unit, model="m", version=1, manifest_digest="d" * 64, threshold=None, policy_digest="p")
    champion = ServedUnit(unit=served, package="/packages/1", format=Format.ONNX, signature=SIGNATURE)
    return RoutingTable(revision=revision, written_at=NOW, routes=(Route(model="m", champion=champion),))


class AdminPort:
    """A worker's admin port, real HTTP: answers by the table on the disk as soon as it was nudged."""

    def __init__(self, state_dir: Path, name: str = "0") -> None:
        self.state_dir, self.name = state_dir, name
        self.nudges, self.tokens = 0, set[str]()
        self.loaded = threading.Event()
        """Unset: it takes a table only after this."""
        self.loaded.set()
        self.answer: tuple[int, bytes] | None = None
        self.beside: threading.Barrier | None = None
        """Reports once as many others are asked."""
        self.knows: str | None = None
        """The token without which it refuses; None: it takes any."""
        self.report = GatewayReport(worker=name, pid=os.getpid(), revision=None, digest=None)
        port = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                port.tokens.add(self.headers["authorization"])
                if self.refused():
                    return
                if port.beside is not None:
                    port.beside.wait(5)
                self.say(*(port.answer or (200, codec.encode(port.report))))

            def do_POST(self) -> None:
                if self.refused():
                    return
                port.nudges += 1
                found = codec.decode((state_dir / "routing.json").read_bytes(), RoutingTable)
                port.report = msgspec.structs.replace(port.report, loading=found.revision)
                port.loaded.wait(30)
                port.report = GatewayReport(worker=name, pid=os.getpid(), revision=found.revision, digest=found.digest)
                self.say(200, b"{}")

            def refused(self) -> bool:
                wrong = port.knows is not None and self.headers["authorization"] != f"Bearer {port.knows}"
                if wrong:
                    self.say(401, b"no")
                return wrong

            def say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.card(os.getpid())

    def card(self, pid: int, **more: int) -> None:
        path = self.state_dir / "gateways" / f"{self.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"pid": pid, "port": 1, "admin_port": self.server.server_port, "started": 5, **more}))

    def close(self) -> None:
        self.loaded.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[AdminPort]:
    made = AdminPort(tmp_path)
    yield made
    made.close()


@pytest.fixture
def http(tmp_path: Path) -> Iterator[HttpGateways]:
    made = HttpGateways(tmp_path, lambda: "secret", 1)
    yield made
    made.close()


@pytest.fixture(params=["http", "memory"])
def gateways(request: pytest.FixtureRequest) -> Iterator[HttpGateways | MemoryGateways]:
    if request.param == "memory":
        yield MemoryGateways()
    else:
        request.getfixturevalue("port")
        yield request.getfixturevalue("http")


def test_a_published_table_is_what_the_workers_report(gateways: HttpGateways | MemoryGateways) -> None:
    (before,) = gateways.observe()
    assert (before.worker, before.revision, gateways.published()) == ("0", None, None)
    gateways.publish(table(3))
    assert gateways.published() == table(3)
    gateways.publish(table(3))
    (after,) = gateways.observe()
    assert (after.revision, after.digest, after.error) == (3, table(3).digest, "")
    gateways.renew_lease()
    assert gateways.lease_age() < timedelta(seconds=30)


def test_a_lease_is_as_old_as_a_clock_that_was_set_since_makes_it(tmp_path: Path) -> None:
    soon, day, right = timedelta(seconds=30), timedelta(days=1), datetime.now(UTC)

    def at(clock: datetime) -> HttpGateways:
        return HttpGateways(tmp_path, lambda: "secret", 1, lease=LeaseFile(tmp_path, lambda: clock))

    at(right - day).renew_lease()
    assert day <= at(right).lease_age() < day + soon
    at(right).renew_lease()
    assert at(right).lease_age() < soon
    assert at(right - day).lease_age() < soon
    (tmp_path / "lease").write_bytes(b"")  # an earlier release's
    assert at(right + day).lease_age() < soon


def test_a_table_never_goes_back_and_a_revision_never_changes_its_meaning(gateways: HttpGateways | MemoryGateways) -> None:
    gateways.publish(table(3))
    with pytest.raises(Conflict, match="has revision 3"):
        gateways.publish(table(2))
    with pytest.raises(Conflict, match="other routes"):
        gateways.publish(table(3, "u2"))
    assert gateways.observe()[0].revision == 3
    gateways.publish(table(4, "u2"))
    assert gateways.observe()[0].digest == table(4, "u2").digest


def test_who_serves_is_counted_and_nobody_asked(http: HttpGateways, tmp_path: Path) -> None:
    cards = tmp_path / "gateways"
    cards.mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    for name, pid in (("0", os.getpid()), ("1", ended.pid), ("2", os.getppid())):
        (cards / f"{name}.json").write_text(json.dumps({"pid": pid, "admin_port": 1}))
    assert http.alive() == 2
    shutil.rmtree(cards)
    assert http.alive() == 0


def test_nothing_runs_and_nothing_is_claimed(http: HttpGateways, tmp_path: Path) -> None:
    http.publish(table(1))
    assert http.observe() == ()
    assert http.lease_age() == timedelta.max
    http.renew_lease()
    assert http.observe() == ()  # as in `flyball run` beside nothing
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(json.dumps({"pid": os.getpid()}))  # who supervises expects its workers
    (report,) = http.observe()
    assert (report.worker, report.revision, report.error) == ("0", None, "no such worker has started")


def test_every_silent_or_odd_worker_is_a_report_with_its_error(port: AdminPort, tmp_path: Path) -> None:
    gateways = HttpGateways(tmp_path, lambda: "secret", 2)
    gateways.publish(table(1))
    first, second = gateways.observe()
    assert (first.revision, second.error) == (1, "no such worker has started")
    port.answer = (401, b"no")
    assert "answered 401" in gateways.observe()[0].error
    port.answer = (200, b"{")
    assert "cannot be read" in gateways.observe()[0].error
    port.answer = (200, codec.encode(GatewayReport(worker="7", pid=1, revision=1, digest="d")))
    assert "worker 7" in gateways.observe()[0].error
    ended = subprocess.Popen(["true"])
    ended.wait()
    port.card(ended.pid)
    assert "has ended" in gateways.observe()[0].error
    assert gateways.seen[0].error == gateways.observe()[0].error
    assert port.tokens == {"Bearer secret"}
    gateways.publish(table(2))  # nobody hears it: not an error
    assert port.nudges == 1
    gateways.close()


def test_who_replaces_the_owners_token_is_followed_by_who_asks_workers(port: AdminPort, tmp_path: Path) -> None:
    file = tmp_path / "token"
    port.knows = owner_token(tmp_path, fresh_token)
    with closing(HttpGateways(tmp_path, lambda: owner_token(tmp_path, fresh_token), 1)) as gateways:
        assert gateways.observe()[0].answers
        file.unlink()
        port.knows = owner_token(tmp_path, fresh_token)
        assert gateways.observe()[0].answers
        file.write_text("one token of my own")
        port.knows = "one token of my own"
        gateways.publish(table(1))
        assert (port.nudges, gateways.observe()[0].revision) == (1, 1)
        file.write_text("another of my own")
        file.chmod(0o644)
        port.knows = "another of my own"
        gateways.publish(table(2))
        (report,) = gateways.observe()
        assert (port.nudges, report.answers) == (1, False)
        assert "can be read by others" in report.error
        file.chmod(0o600)
        assert gateways.observe()[0].answers


@pytest.mark.parametrize("token", ["s3cret\nsecond line", "s3cret \u0142"])
def test_a_token_that_can_stand_in_no_header_is_in_no_report(port: AdminPort, tmp_path: Path, token: str) -> None:
    with closing(HttpGateways(tmp_path, lambda: token, 1)) as gateways:
        (report,) = gateways.observe()
        gateways.publish(table(1))
    assert (report.answers, report.error) == (False, "the owner's token that is known here can stand in no header")
    assert not port.tokens


@pytest.mark.parametrize(
    ("pid", "ticks", "boot"),
    [(os.getpid(), 1, 0), (os.getpid(), 0, 1), (os.getppid(), 9, 0), (1, None, None)],
    ids=["began at another time", "before this start of the machine", "another process", "of another account"],
)
def test_who_has_a_dead_workers_port_and_its_number_gets_no_token(
    http: HttpGateways, port: AdminPort, pid: int, ticks: int | None, boot: int | None
) -> None:
    born = birth_of(os.getpid())
    if ticks is None and os.getuid() == 0:
        pytest.skip("no process is another account's to root")
    if ticks is not None and (born.ticks is None or born.boot is None):
        pytest.skip("this system does not tell when a process was started")
    if born.ticks is not None and born.boot is not None:
        port.card(os.getpid(), ticks=born.ticks, boot=born.boot)
        assert (http.observe()[0].answers, http.alive()) == (True, 1)
    port.tokens.clear()
    if ticks is None or boot is None:
        port.card(pid)
    else:
        port.card(pid, ticks=(born.ticks or 0) + ticks, boot=(born.boot or 0) + boot)
    assert "has ended" in http.observe()[0].error
    http.publish(table(1))
    assert (port.tokens, port.nudges, http.alive()) == (set(), 0, 0)


@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_a_copied_card_speaks_of_the_originals_worker_and_not_of_ours(
    http: HttpGateways, port: AdminPort, tmp_path: Path, place: str
) -> None:
    card = tmp_path / "gateways" / "0.json"
    here = card.parent.stat()
    copied = {"here": here.st_ino, "elsewhere": tmp_path.stat().st_ino}[place]
    card.write_text(json.dumps({**json.loads(card.read_text()), "device": here.st_dev, "inode": copied}))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(json.dumps({"pid": os.getpid(), "device": 1, "inode": 1}))
    assert [report.worker for report in http.observe()] == (["0"] if place == "here" else [])
    http.publish(table(1))
    assert port.nudges == (place == "here")


def eventually(holds: Callable[[], bool]) -> None:
    """A worker hears of a table after whoever told it has gone on."""
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_nobody_waits_for_a_worker_that_loads_and_it_is_not_told_again(tmp_path: Path) -> None:
    with closing(HttpGateways(tmp_path, lambda: "secret", 3, nudge_seconds=0.2)) as gateways:
        ports = [AdminPort(tmp_path, name) for name in "012"]
        try:
            for port in ports[:2]:
                port.loaded.clear()
            gateways.publish(table(1))
            eventually(
                lambda: [report.loading for report in gateways.observe()] == [1, 1, None] and gateways.seen[2].revision == 1
            )
            gateways.publish(table(1))
            eventually(lambda: [port.nudges for port in ports] == [1, 1, 2])
            gateways.publish(table(2))  # whoever still loads what came before is told of what comes after
            eventually(lambda: [port.nudges for port in ports] == [2, 2, 3])
        finally:
            for port in ports:
                port.close()


def test_workers_are_asked_beside_one_another(tmp_path: Path) -> None:
    """One that hangs is waited for for seconds: one after another, three of them were a quarter of a minute."""
    together = threading.Barrier(3)
    with closing(HttpGateways(tmp_path, lambda: "secret", 3)) as gateways:
        ports = [AdminPort(tmp_path, name) for name in "012"]
        try:
            for port in ports:
                port.beside = together
            assert [(report.worker, report.error) for report in gateways.observe()] == [("0", ""), ("1", ""), ("2", "")]
            for port in ports:
                port.beside = None
        finally:
            for port in ports:
                port.close()


def test_an_unreachable_port_is_a_report_and_not_an_exception(tmp_path: Path, http: HttpGateways) -> None:
    (tmp_path / "gateways").mkdir()
    (tmp_path / "gateways" / "0.json").write_text(json.dumps({"pid": os.getpid(), "admin_port": 1}))
    http.publish(table(1))
    assert "does not answer" in http.observe()[0].error


def test_a_table_that_cannot_be_read_is_not_overwritten(tmp_path: Path, http: HttpGateways) -> None:
    (tmp_path / "routing.json").write_text("{torn")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        http.publish(table(1))
    assert (tmp_path / "routing.json").read_text() == "{torn"


def test_the_faults_of_the_gateways_in_memory_are_those_of_real_ones() -> None:
    gateways = MemoryGateways(2)
    gateways.publish(table(1))
    gateways.deaf.add("0")
    gateways.unreachable.add("1")
    gateways.publish(table(2, "u2"))
    silent, gone = gateways.observe()
    assert (silent.revision, silent.error) == (1, "")
    assert (gone.revision, bool(gone.error)) == (None, True)
    gateways.restart("1")
    gateways.deaf.clear()
    gateways.look()
    assert [report.revision for report in gateways.observe()] == [2, 2]
    gateways.wrong_bytes.add("u2")
    assert gateways.observe()[0].fingerprints != {"u2": "d" * 64}


def test_a_real_worker_is_observed_and_takes_what_is_published(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    with (
        GatewayProcess(tmp_path) as worker,
        closing(HttpGateways(tmp_path, lambda: owner_token(tmp_path, fresh_token), 1)) as gateways,
        closing(HttpGateways(tmp_path, lambda: "wrong", 1)) as strangers,
    ):
        (before,) = gateways.observe()
        assert (before.pid, before.revision) == (worker.pid, None)
        born, card = birth_of(before.pid), json.loads((tmp_path / "gateways" / "0.json").read_text())
        assert (card.get("ticks"), card.get("boot")) == (born.ticks, born.boot)
        assert all(isinstance(fact, int) for fact in card.values()), "supervisors of earlier releases read numbers alone"
        assert "no routing table yet" in before.error
        empty = RoutingTable(revision=1, written_at=NOW, routes=())
        gateways.publish(empty)
        (after,) = gateways.observe()
        assert (after.revision, after.digest, after.error) == (1, empty.digest, "")
        worker.kill()
        assert "has ended" in gateways.observe()[0].error
        worker.restart()
        assert "answered 401" in strangers.observe()[0].error
