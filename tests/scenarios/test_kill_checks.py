"""The checks of the kill loop can fail: each finds the damage that it is there for, in an otherwise whole state."""

import hashlib
import json
import sqlite3
import struct
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from bench.release import checks
from bench.release.clients import Attempt, Sent, SentLabels
from bench.release.orders import Order
from bench.release.reader import MAGIC, captured, chain_faults, package_faults, read_ledger
from bench.release.stack import Kill

from flyball.adapters.ledger import SqliteLedger
from flyball.records import codec
from flyball.records.events import Draft, Put
from flyball.records.unit import Format, Manifest

AT = datetime(2026, 11, 22, tzinfo=UTC)
ROW = {"price": 12.5, "category": "toys"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A ledger as the product writes it: two controllers, ten states."""
    ledger = SqliteLedger(tmp_path)
    for owner in ("first", "sécond"):
        ledger.claim(owner, AT)
        for number in range(10):
            put = Put("job", f"j-{number}", {"status": owner, "share": 1e-7 * number, "text": 'a "quoted" line\n'})
            ledger.transact(
                [Draft(at=AT, kind="job.moved", subject=f"job:{number}", actor="control", payload={"n": number}, puts=(put,))]
            )
    return tmp_path


def change(state: Path, statement: str) -> list[str]:
    """What the reader finds after one statement behind the product's back."""
    with closing(sqlite3.connect(state / "flyball.db")) as database, database:
        assert database.execute(statement).rowcount > 0
    return chain_faults(read_ledger(state))


def test_a_whole_ledger_has_no_fault(state: Path) -> None:
    assert chain_faults(read_ledger(state)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET payload = '{\"n\":4}' WHERE seq = 5",
        "UPDATE events SET at = replace(at, '2026', '2025') WHERE seq = 7",
        "DELETE FROM events WHERE seq = 9",
        "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
        "UPDATE states SET value = replace(value, 'quoted', 'forged') WHERE key = 'j-3'",
        "DELETE FROM states WHERE key = 'j-3'",
        "UPDATE control SET epoch = 9",
    ],
)
def test_every_change_of_the_ledger_is_found(state: Path, statement: str) -> None:
    assert change(state, statement)


def test_a_ledger_cut_back_with_its_own_head_is_found_by_the_head_file(state: Path) -> None:
    change(state, "DELETE FROM events WHERE seq > 20")
    faults = change(state, "UPDATE control SET seq = 20, hash = (SELECT hash FROM events WHERE seq = 20)")
    assert any("head file" in fault for fault in faults)


def test_a_changed_byte_and_an_unlisted_file_of_a_package_are_found(tmp_path: Path) -> None:
    files = {"model/model.onnx": b"weights", "signature.json": b"{}"}
    digests = {}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    manifest = Manifest(files=digests, format=Format.ONNX)
    (tmp_path / "manifest.json").write_bytes(codec.encode(manifest))
    assert package_faults(tmp_path, codec.digest(manifest)) == []
    assert package_faults(tmp_path, "0" * 64)
    (tmp_path / "model" / "more.py").write_bytes(b"")
    assert package_faults(tmp_path, codec.digest(manifest))
    (tmp_path / "model" / "more.py").unlink()
    (tmp_path / "model" / "model.onnx").write_bytes(b"weightz")
    assert package_faults(tmp_path, codec.digest(manifest))


def record(*ids: str, score: float = 0.25) -> dict:
    return {
        "k": "p", "at_us": 1, "model": "shop", "unit": "u1", "role": "champion", "revision": 1, "ids": list(ids), "keys": ["k"] * len(ids),
        "columns": {"price": [12.5] * len(ids), "category": ["toys"] * len(ids)}, "scores": [[score]] * len(ids), "latency_us": 1,
    }  # fmt: skip


def sent(tries: int = 1) -> Sent:
    prediction = {"id": "a", "unit": "u1", "score": 0.25}
    return Sent(ids=["a"], keys=["k"], rows=[ROW], tries=tries, begun_us=1, ended_us=2, predictions=[prediction])


def test_a_prediction_that_is_lost_doubled_changed_or_invented_is_found() -> None:
    assert checks.prediction_faults([sent()], [record("a")]) == []
    assert checks.prediction_faults([sent(tries=2)], [record("a"), record("a")]) == []
    assert checks.prediction_faults([sent()], [])
    assert checks.prediction_faults([sent()], [record("a"), record("a")])
    assert checks.prediction_faults([sent()], [record("a", score=0.26)])
    assert checks.prediction_faults([sent()], [record("a"), record("b")])


def test_an_answer_by_a_table_that_was_replaced_when_it_was_asked_is_found(tmp_path: Path) -> None:
    ledger, at_us = SqliteLedger(tmp_path), int(AT.timestamp() * 1e6)
    for revision in (1, 2):
        at = AT + timedelta(seconds=revision)
        route = {"champion": {"unit": {"id": f"u{revision}"}}, "shadows": []}
        table = Put("routing", "shop", {"revision": revision, "routes": [route]})
        ledger.transact([Draft(at=at, kind="routing.wanted", subject="model:shop", actor="control", payload={}, puts=(table,))])
        ledger.transact([Draft(at=at, kind="release.verified", subject="release:r", actor="control", payload={}, puts=())])

    def faults(asked: float, answered: float, tries: int = 1) -> list[str]:
        begun, said = (at_us + int(seconds * 1e6) for seconds in (asked, answered))
        one = msgspec.structs.replace(sent(tries), begun_us=begun)
        return checks.answer_faults(read_ledger(tmp_path), [{**record("a"), "at_us": said}], [one])

    assert faults(1.5, 1.6) == []
    assert faults(1.9, 2.1) == [], "it was in hand"
    assert faults(2.1, 2.2)
    assert faults(1.9, 2.1, tries=2), "which of the two was answered is not known"
    assert faults(0.5, 0.6), "before the table was written"


def test_a_label_that_is_lost_doubled_or_changed_is_found() -> None:
    labels, there = SentLabels(ids=["a"], values=["1"], tries=1, acknowledged=True), {"k": "l", "ids": ["a"], "values": ["1"]}
    assert checks.label_faults([labels], [there]) == []
    assert checks.label_faults([labels], [])
    assert checks.label_faults([labels], [there, there])
    assert checks.label_faults([labels], [{**there, "values": ["0"]}])


def test_a_window_that_lost_or_invented_rows_is_found(tmp_path: Path) -> None:
    def faults(predictions: int, unit: str = "u1") -> list[str]:
        window = Put("window", "w", {"start": "1970-01-01T00:00:00+00:00", "unit": unit, "predictions": predictions})
        ledger.transact([Draft(at=AT, kind="window.closed", subject="window:w", actor="control", puts=(window,))])
        return checks.window_faults(read_ledger(tmp_path), [record("a")] * 40, 10_000_000)

    ledger = SqliteLedger(tmp_path)
    assert faults(40) == faults(39) == []
    assert faults(41)
    assert faults(20)
    assert faults(40, unit="u2")


def test_a_torn_last_frame_is_let_through_and_a_changed_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    payload = msgspec.msgpack.encode(record("a"))
    frame = struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
    segment = tmp_path / "capture" / "0-1-0.seg"
    segment.write_bytes(MAGIC + frame + frame[:-1])
    assert captured(tmp_path) == [record("a")]
    segment.write_bytes(MAGIC + frame[:-1] + bytes([frame[-1] ^ 1]))
    with pytest.raises(ValueError, match="checksum"):
        captured(tmp_path)


def test_a_failed_request_needs_a_kill_of_a_gateway_of_its_own() -> None:
    def failed(*at: float) -> list[Attempt]:
        return [Attempt(client=0, begun=when - 0.1, ended=when, ok=False, words="cut") for when in at]

    gateway, control = Kill("gateway", "gateway-0", 1.0), Kill("control", "control", 1.0)
    assert checks.client_faults(failed(1.05), [gateway]) == []
    assert checks.client_faults(failed(1.05), [control])
    assert checks.client_faults(failed(1.05, 1.2), [gateway])
    assert checks.client_faults(failed(0.9), [gateway])


def test_an_order_that_is_settled_twice_or_lost_is_found(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)

    def tell(kind: str, payload: dict) -> None:
        ledger.transact([Draft(at=AT, kind=kind, subject="command:c-0001", actor="user", payload=payload)])

    order = Order("rollback", "number 1", 0, {"accepted": True})
    assert checks.order_faults(read_ledger(tmp_path), [order])
    tell("command.ordered", {"kind": "roll_back", "reason": "number 1"})
    assert checks.order_faults(read_ledger(tmp_path), [order])
    tell("command.settled", {"status": "done"})
    assert checks.order_faults(read_ledger(tmp_path), [order]) == []
    tell("command.settled", {"status": "done"})
    assert checks.order_faults(read_ledger(tmp_path), [order])


def test_a_directory_in_the_cache_without_a_result_is_found(tmp_path: Path) -> None:
    (tmp_path / "cache" / ".train-0123.99.tmp").mkdir(parents=True)
    assert checks.leftover_faults(tmp_path) == []
    (tmp_path / "cache" / "train-0123").mkdir()
    assert checks.leftover_faults(tmp_path)
    (tmp_path / "cache" / "train-0123" / "result.json").write_text(json.dumps({}))
    assert checks.leftover_faults(tmp_path) == []
