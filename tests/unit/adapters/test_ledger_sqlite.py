"""What only the ledger on SQLite has: processes, crashes, locks, schemas, foreign errors."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy.exc

from flyball.adapters.ledger import HeadFile, SqliteLedger, foreign, tables
from flyball.adapters.ledger.head_file import SLOT_BYTES
from flyball.errors import LedgerDamaged, OperatorError, StoreUnavailable
from flyball.records.events import GENESIS, Draft, Head, Put

AT = datetime(2026, 1, 1, tzinfo=UTC)
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from flyball.adapters.ledger import SqliteLedger
from flyball.records.events import Draft, Put
ledger = SqliteLedger(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    (event,) = ledger.transact([Draft(at=datetime.now(UTC), kind="k", subject="s", actor=sys.argv[2], key=f"{sys.argv[2]}-{n}",
                                      puts=(Put("last", sys.argv[2], {"n": n}),))])
    print(event.seq, event.hash, flush=True)
"""


def writer(directory: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(directory), name, str(count)], stdout=subprocess.PIPE, text=True)


def test_four_processes_lose_nothing_and_the_chain_stays_whole(tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 100) for name in "abcd"]
    answers = [line.split() for process in writers for line in process.communicate()[0].splitlines()]
    assert all(process.returncode == 0 for process in writers)
    ledger = SqliteLedger(tmp_path)
    assert sorted((int(seq), hash_) for seq, hash_ in answers) == [(event.seq, event.hash) for event in ledger.events()]
    assert ledger.head().seq == 400
    assert ledger.verify() == ()
    assert HeadFile(tmp_path / "HEAD").read() == ledger.head()
    ledger.close()


def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    acknowledged: list[tuple[int, str]] = []
    for turn in range(3):
        process = writer(tmp_path, f"turn{turn}", 100_000)
        assert process.stdout is not None
        for _ in range(15 + 7 * turn):
            seq, hash_ = process.stdout.readline().split()
            acknowledged.append((int(seq), hash_))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        acknowledged += [
            (int(line.split()[0]), line.split()[1]) for line in rest if len(line.split()) == 2 and len(line.split()[1]) == 64
        ]
        process.wait()
        process.stdout.close()
        ledger = SqliteLedger(tmp_path)
        kept = {(event.seq, event.hash) for event in ledger.events()}
        assert set(acknowledged) <= kept
        assert len(kept) <= len(acknowledged) + turn + 1  # at most one of each turn was in flight
        assert ledger.verify() == ()
        ledger.close()


def test_the_database_is_what_the_rules_ask_for(tmp_path: Path) -> None:
    engine = tables.open_engine(tmp_path / "x.db")
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": tables.BUSY_MILLISECONDS}


def test_a_database_of_a_newer_flyball_is_refused(tmp_path: Path) -> None:
    SqliteLedger(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "flyball.db")
    connection.execute("UPDATE meta SET value = '2' WHERE name = 'schema_version'")
    connection.commit()
    connection.close()
    with pytest.raises(OperatorError, match=r"has schema 2\. Expected: 1 at most\. Next: use the newer Flyball"):
        SqliteLedger(tmp_path)


def test_a_failed_write_leaves_nothing_and_the_next_one_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path)
    connection = sqlite3.connect(tmp_path / "flyball.db", isolation_level=None)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON states BEGIN SELECT RAISE(ROLLBACK, 'disk I/O error'); END")
    draft = Draft(at=AT, kind="k", subject="s", actor="a", puts=(Put("a", "b", {}),), key="k")
    with pytest.raises((OperatorError, sqlalchemy.exc.DBAPIError)):
        ledger.transact([draft])
    connection.execute("DROP TRIGGER full")
    connection.close()
    assert ledger.events() == ()
    assert ledger.transact([draft])[0].seq == 1
    assert ledger.verify() == ()
    ledger.close()


def test_a_database_that_someone_holds_is_unavailable_and_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BUSY_MILLISECONDS", 50)
    ledger = SqliteLedger(tmp_path)
    other = sqlite3.connect(tmp_path / "flyball.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"database is locked\. Next: another process holds the database"):
        ledger.transact([Draft(at=AT, kind="k", subject="s", actor="a")])
    other.execute("ROLLBACK")
    other.close()
    assert ledger.transact([Draft(at=AT, kind="k", subject="s", actor="a")])[0].seq == 1
    ledger.close()


FOREIGN = {
    sqlite3.SQLITE_BUSY: StoreUnavailable,
    sqlite3.SQLITE_BUSY_SNAPSHOT: StoreUnavailable,
    sqlite3.SQLITE_LOCKED: StoreUnavailable,
    sqlite3.SQLITE_FULL: StoreUnavailable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_IOERR_WRITE: StoreUnavailable,
    sqlite3.SQLITE_IOERR_FSYNC: StoreUnavailable,
    sqlite3.SQLITE_READONLY: StoreUnavailable,
    sqlite3.SQLITE_CANTOPEN: StoreUnavailable,
    sqlite3.SQLITE_PERM: StoreUnavailable,
    sqlite3.SQLITE_NOMEM: StoreUnavailable,
    sqlite3.SQLITE_PROTOCOL: StoreUnavailable,
    sqlite3.SQLITE_CORRUPT: LedgerDamaged,
    sqlite3.SQLITE_CORRUPT_INDEX: LedgerDamaged,
    sqlite3.SQLITE_NOTADB: LedgerDamaged,
    sqlite3.SQLITE_ERROR: LedgerDamaged,
}


def test_what_is_verified_is_this_ledger_also_where_a_url_means_another(tmp_path: Path) -> None:
    for name in ("a%41", "aA"):
        (ledger := SqliteLedger(tmp_path / name)).transact([Draft(at=AT, kind="k", subject="s", actor="me")])
        ledger.close()
    with sqlite3.connect(tmp_path / "a%41" / "flyball.db") as connection:
        connection.execute("UPDATE events SET subject = 'another'")
    connection.close()
    assert SqliteLedger(tmp_path / "a%41").verify() != ()
    assert SqliteLedger(tmp_path / "aA").verify() == ()


@pytest.mark.parametrize(("code", "kind"), FOREIGN.items())
def test_every_foreign_error_is_told_in_our_words(code: int, kind: type[OperatorError]) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    with pytest.raises(kind, match="what SQLite says"), foreign.translating(Path("x.db")):
        raise error
    with pytest.raises(kind, match="Next: "), foreign.translating(Path("x.db")):
        raise sqlalchemy.exc.OperationalError("statement", {}, error)


def test_every_primary_code_of_sqlite_has_an_answer() -> None:
    codes = {
        value for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and isinstance(value, int) and 0 < value < 27
    }
    for code in codes:
        error = sqlite3.OperationalError("x")
        error.sqlite_errorcode = code
        assert isinstance(foreign.translate(error, Path("x.db")), LedgerDamaged | StoreUnavailable)
    with pytest.raises(StoreUnavailable), foreign.translating(Path("x.db")):
        raise OSError(28, "No space left on device")


def test_the_head_file_only_goes_forward_and_survives_a_torn_write(tmp_path: Path) -> None:
    head = HeadFile(tmp_path / "HEAD")
    head.create()
    assert head.read() == Head(0, GENESIS)
    for seq in (1, 2, 5):
        with head.locked():
            head.write(Head(seq, f"{seq}" * 64))
            head.write(Head(seq - 1, "0" * 64))
    assert head.read() == Head(5, "5" * 64)
    whole = (tmp_path / "HEAD").read_bytes()
    with head.locked():
        head.write(Head(6, "6" * 64))
    after = (tmp_path / "HEAD").read_bytes()
    (changed,) = [
        n for n in range(2) if whole[n * SLOT_BYTES : (n + 1) * SLOT_BYTES] != after[n * SLOT_BYTES : (n + 1) * SLOT_BYTES]
    ]
    at = changed * SLOT_BYTES
    for torn in range(120):
        (tmp_path / "HEAD").write_bytes(whole[:at] + after[at : at + torn] + whole[at + torn :])
        assert HeadFile(tmp_path / "HEAD").read().seq in (5, 6)
        (tmp_path / "HEAD").write_bytes(whole[:at] + os.urandom(torn) + b"\0" * (SLOT_BYTES - torn) + whole[at + SLOT_BYTES :])
        assert HeadFile(tmp_path / "HEAD").read().seq == 5
    head.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 2 * SLOT_BYTES, b"{} %08x\n" % zlib.crc32(b"{}")])
def test_a_head_file_without_a_whole_slot_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "HEAD").write_bytes(content)
    with pytest.raises(LedgerDamaged, match="unreadable"):
        HeadFile(tmp_path / "HEAD").read()


def test_the_head_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.transact([Draft(at=AT, kind="k", subject="s", actor="a")])
    lines = (tmp_path / "HEAD").read_text().splitlines()
    assert max(json.loads(line.rsplit(None, 1)[0])["seq"] for line in lines) == 1
    ledger.close()


FULL_DISK = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from flyball.adapters.ledger import SqliteLedger
from flyball.errors import StoreUnavailable
from flyball.records.events import Draft, Put
ledger, acknowledged, refused = SqliteLedger(Path(sys.argv[1])), 0, 0
def write(n):
    ledger.transact([Draft(at=datetime.now(UTC), kind="k", subject="s", actor="a", key=str(n), payload={"x": "x" * 900}, puts=(Put("a", "b", {"n": n}),))])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
for n in range(60):
    try:
        write(n)
        acknowledged += 1
    except StoreUnavailable as error:
        refused += 1
        assert "Next: " in error.message
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for n in range(60, 70):
    write(n)
    acknowledged += 1
print(acknowledged, refused, ledger.head().seq, len(ledger.verify()))
"""


def test_a_full_disk_refuses_in_words_loses_nothing_and_is_forgotten_when_there_is_room_again(tmp_path: Path) -> None:
    answer = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    acknowledged, refused, entries, faults = map(int, answer.stdout.split())
    assert refused > 5
    assert (entries, faults) == (acknowledged, 0)


def test_a_head_that_cannot_be_moved_does_not_take_back_the_commit_but_stops_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqliteLedger(tmp_path)
    draft = Draft(at=AT, kind="k", subject="s", actor="a")

    def fails(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("flyball.adapters.ledger.head_file.os.pwrite", fails)
        assert ledger.transact([draft])[0].seq == 1
        with pytest.raises(StoreUnavailable, match="Input/output error"):
            ledger.transact([draft])
    assert HeadFile(tmp_path / "HEAD").read().seq == 0
    assert ledger.verify() == ()
    assert ledger.transact([draft])[0].seq == 2
    assert HeadFile(tmp_path / "HEAD").read().seq == 2
    ledger.close()


def test_a_mistake_of_our_own_is_not_put_down_to_the_disk(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    for asked in (lambda: ledger.state("release", object()), lambda: ledger.states(object())):  # type: ignore[arg-type]
        with pytest.raises(sqlite3.Error, match="not supported"):
            asked()
    assert ledger.state("release", "r-0001") is None
