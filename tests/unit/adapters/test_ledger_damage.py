"""`verify` says what was done to a ledger, and nothing is appended to one whose end does not hold."""

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from ledger_damage import execute

from flyball.adapters.ledger import HeadFile, MemoryLedger, SqliteLedger
from flyball.errors import LedgerDamaged
from flyball.records.events import Draft, Head, Put

AT = datetime(2026, 1, 1, tzinfo=UTC)


def drafts(first: int, count: int) -> list[Draft]:
    return [
        Draft(
            at=AT,
            kind="thing.done",
            subject="s",
            actor="a",
            payload={"n": n},
            key=f"k{n}",
            puts=(Put("last", str(n % 3), {"n": n}),),
        )
        for n in range(first, first + count)
    ]


def filled(directory: Path, count: int = 12) -> Path:
    ledger = SqliteLedger(directory)
    ledger.claim("control", AT)
    for draft in drafts(0, count - 1):
        ledger.transact([draft])
    assert ledger.verify() == ()
    ledger.close()
    return directory


def kinds(directory: Path) -> set[str]:
    ledger = SqliteLedger(directory)
    try:
        return {fault.kind for fault in ledger.verify()}
    finally:
        ledger.close()


FLIPS = {
    "a byte of a payload": "UPDATE events SET payload = replace(payload, '4', '5') WHERE seq = 6",
    "a blank in a payload": "UPDATE events SET payload = payload || ' ' WHERE seq = 6",
    "an actor": "UPDATE events SET actor = 'b' WHERE seq = 6",
    "a time": "UPDATE events SET at = replace(at, '2026', '2025') WHERE seq = 6",
    "a key": "UPDATE events SET key = NULL WHERE seq = 6",
    "a hash": "UPDATE events SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 6",
    "a hash at the end": "UPDATE events SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 12",
    "a predecessor": "UPDATE events SET prev = replace(prev, substr(prev, 1, 1), 'g') WHERE seq = 6",
    "a put": "UPDATE events SET puts = replace(puts, 'last', 'lost') WHERE seq = 6",
    "a byte that is no UTF-8 any more": "UPDATE events SET payload = CAST(X'7bff7d' AS TEXT) WHERE seq = 6",
    "the database's own head": "UPDATE control SET hash = replace(hash, substr(hash, 1, 1), 'g')",
}


@pytest.mark.parametrize("statement", FLIPS.values(), ids=FLIPS.keys())
def test_a_flipped_byte_is_found_and_named(tmp_path: Path, statement: str) -> None:
    execute(filled(tmp_path), statement)
    ledger = SqliteLedger(tmp_path)
    faults = ledger.verify()
    assert [fault.kind for fault in faults] == ["flipped"], faults
    assert faults[0].seq in (6, 12)
    ledger.close()


def test_a_removed_row_is_a_gap_and_not_a_flip(tmp_path: Path) -> None:
    execute(filled(tmp_path), "DELETE FROM events WHERE seq IN (5, 6)")
    ledger = SqliteLedger(tmp_path)
    assert [(fault.kind, fault.seq) for fault in ledger.verify()] == [("removed", 5)]
    ledger.close()


def test_a_renumbered_gap_is_found(tmp_path: Path) -> None:
    execute(filled(tmp_path), "DELETE FROM events WHERE seq = 5", "UPDATE events SET seq = 5 WHERE seq = 6")
    assert "flipped" in kinds(tmp_path)


@pytest.mark.parametrize("lost", ["seq > 9", "seq > 11", "seq > 0"])
def test_a_truncated_tail_is_found_and_nothing_is_appended(tmp_path: Path, lost: str) -> None:
    execute(filled(tmp_path), f"DELETE FROM events WHERE {lost}")  # noqa: S608
    assert kinds(tmp_path) == {"truncated"}
    ledger = SqliteLedger(tmp_path)
    with pytest.raises(LedgerDamaged, match="end does not hold"):
        ledger.transact(drafts(90, 1))
    with pytest.raises(LedgerDamaged):
        ledger.claim("control", AT)
    ledger.close()


def test_a_tail_truncated_with_the_databases_own_head_is_told_by_the_file(tmp_path: Path) -> None:
    filled(tmp_path)
    connection = sqlite3.connect(tmp_path / "flyball.db")
    (hash_,) = connection.execute("SELECT hash FROM events WHERE seq = 9").fetchone()
    connection.close()
    execute(tmp_path, "DELETE FROM events WHERE seq > 9", f"UPDATE control SET seq = 9, hash = '{hash_}'")  # noqa: S608
    assert kinds(tmp_path) == {"restored"}


def copy_of(directory: Path, to: Path) -> Path:
    source, target = sqlite3.connect(directory / "flyball.db"), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()
    return to


def put_back(copy: Path, directory: Path) -> None:
    for name in ("flyball.db-wal", "flyball.db-shm"):
        (directory / name).unlink(missing_ok=True)
    shutil.copy(copy, directory / "flyball.db")


def test_a_restored_backup_is_found_and_nothing_is_appended(tmp_path: Path) -> None:
    state = filled(tmp_path / "state")
    copy = copy_of(state, tmp_path / "copy.db")
    ledger = SqliteLedger(state)
    ledger.transact(drafts(50, 3))
    ledger.close()
    put_back(copy, state)
    assert kinds(state) == {"restored"}
    ledger = SqliteLedger(state)
    with pytest.raises(LedgerDamaged, match="head file knows 15"):
        ledger.transact(drafts(50, 1))
    assert len(ledger.events()) == 12  # it can still be read
    ledger.close()


def test_a_restored_backup_that_went_on_elsewhere_is_found(tmp_path: Path) -> None:
    state = filled(tmp_path / "state")
    copy = copy_of(state, tmp_path / "copy.db")
    other = tmp_path / "other"
    shutil.copytree(state, other)
    for directory, first, count in ((state, 50, 3), (other, 70, 6)):
        ledger = SqliteLedger(directory)
        ledger.transact(drafts(first, count))
        ledger.close()
    assert copy.exists()
    put_back(copy_of(other, tmp_path / "longer.db"), state)
    assert kinds(state) == {"restored"}
    ledger = SqliteLedger(state)
    with pytest.raises(LedgerDamaged, match="not the one that the head file knows"):
        ledger.transact(drafts(99, 1))
    ledger.close()


def test_a_backup_put_back_beneath_a_running_process_is_noticed_at_the_next_write(tmp_path: Path) -> None:
    state = filled(tmp_path)
    ledger = SqliteLedger(state)
    execute(state, "DELETE FROM events WHERE seq = 12")
    with pytest.raises(LedgerDamaged):
        ledger.transact(drafts(60, 1))
    ledger.close()


STATES = {
    "changed": "UPDATE states SET value = '{\"n\":77}' WHERE key = '1'",
    "its event changed": "UPDATE states SET seq = seq - 1 WHERE key = '1'",
    "removed": "DELETE FROM states WHERE key = '1'",
    "invented": "INSERT INTO states VALUES ('last', 'q', '{}', 3)",
    "the epoch": "UPDATE control SET epoch = 7",
}


@pytest.mark.parametrize("statement", STATES.values(), ids=STATES.keys())
def test_a_state_that_is_not_the_fold_of_its_events_is_found(tmp_path: Path, statement: str) -> None:
    execute(filled(tmp_path), statement)
    assert kinds(tmp_path) == {"state"}


def test_a_missing_head_file_is_told_and_nothing_is_appended(tmp_path: Path) -> None:
    (filled(tmp_path) / "HEAD").unlink()
    assert kinds(tmp_path) == {"head"}
    ledger = SqliteLedger(tmp_path)
    with pytest.raises(LedgerDamaged, match=r"head file .* is missing"):
        ledger.transact(drafts(60, 1))
    ledger.close()


@pytest.mark.parametrize("damage", [b"", b"\0" * 8192, b"x"])
def test_an_unreadable_head_file_is_told_as_a_missing_one_and_nothing_is_appended(tmp_path: Path, damage: bytes) -> None:
    (filled(tmp_path) / "HEAD").rename(tmp_path / "kept")
    (tmp_path / "HEAD").write_bytes(damage)
    assert kinds(tmp_path) == {"head"}
    ledger = SqliteLedger(tmp_path)
    assert (ledger.head().seq, len(ledger.events())) == (12, 12)
    assert [fault.kind for fault in ledger.look()] == ["head"]
    for write in (lambda: ledger.transact(drafts(60, 1)), lambda: ledger.claim("me", AT)):
        with pytest.raises(LedgerDamaged, match=r"head file is unreadable.*restore only HEAD"):
            write()
    assert (tmp_path / "HEAD").read_bytes() == damage
    (tmp_path / "kept").replace(tmp_path / "HEAD")
    assert ledger.transact(drafts(60, 1))
    ledger.close()
    assert kinds(tmp_path) == set()


def test_nothing_is_begun_beside_an_unreadable_head(tmp_path: Path) -> None:
    (filled(tmp_path) / "flyball.db").unlink()
    (tmp_path / "HEAD").write_bytes(b"")
    with pytest.raises(LedgerDamaged, match="head file is unreadable"):
        SqliteLedger(tmp_path)
    assert not (tmp_path / "flyball.db").exists()


def test_a_missing_database_beside_a_head_is_not_begun_anew(tmp_path: Path) -> None:
    (filled(tmp_path) / "flyball.db").unlink()
    with pytest.raises(LedgerDamaged, match=r"is missing, its head file knows 12 entries"):
        SqliteLedger(tmp_path)


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (filled(tmp_path) / "flyball.db").write_bytes(b"not a database at all" * 400)
    with pytest.raises(LedgerDamaged, match="not a database"):
        SqliteLedger(tmp_path)


def test_random_bits_in_the_pages_are_found(tmp_path: Path) -> None:
    state = filled(tmp_path / "state", 60)
    execute(state)
    whole = (state / "flyball.db").read_bytes()
    rng, found, harmless = np.random.default_rng(7), 0, 0
    for _ in range(40):
        spoiled = bytearray(whole)
        spoiled[int(rng.integers(100, len(whole)))] ^= 1 << int(rng.integers(8))
        (state / "flyball.db").write_bytes(spoiled)
        try:
            ledger = SqliteLedger(state)
        except LedgerDamaged:
            found += 1
            continue
        entries_hold = len(ledger.verify()) == 0
        found, harmless = found + (not entries_hold), harmless + entries_hold
        ledger.close()
    # A bit in free space of a page, or in a table that `verify` does not lean on, changes nothing that is kept.
    assert found + harmless == 40
    assert found >= 15


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.8, 1.0])
def test_commits_that_vanish_with_the_write_ahead_log_are_found(tmp_path: Path, cut: float) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    ledger = SqliteLedger(state)
    for draft in drafts(0, 40):
        ledger.transact([draft])
    shutil.copytree(state, copy)  # as a power cut leaves it: the log was never folded in
    ledger.close()
    log = copy / "flyball.db-wal"
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * (1 - cut))])
    (copy / "flyball.db-shm").unlink()
    assert kinds(copy) == {"restored"}


def test_a_head_left_behind_by_a_crash_is_mended_at_the_next_start(tmp_path: Path) -> None:
    state = filled(tmp_path / "state")
    before = (state / "HEAD").read_bytes()
    ledger = SqliteLedger(state)
    ledger.transact(drafts(50, 3))
    head = ledger.head()
    ledger.close()
    (state / "HEAD").write_bytes(before)
    ledger = SqliteLedger(state)
    assert ledger.verify() == ()
    assert HeadFile(state / "HEAD").read() == head
    ledger.close()


DAMAGE: dict[str, tuple[str, Callable[[MemoryLedger], object]]] = {
    "flipped": ("flipped", lambda it: it.entries.__setitem__(3, it.entries[3]._replace(payload='{"n":9}'))),
    "removed": ("removed", lambda it: it.entries.pop(3)),
    "truncated": ("truncated", lambda it: it.entries.pop()),
    "restored": ("restored", lambda it: setattr(it, "outer", Head(99, "0" * 64))),
    "another history": ("restored", lambda it: setattr(it, "outer", Head(4, "0" * 64))),
    "state": ("state", lambda it: it.projection.pop(("last", "1"))),
    "head": ("head", lambda it: setattr(it, "outer", None)),
}


@pytest.mark.parametrize(("kind", "damage"), DAMAGE.values(), ids=DAMAGE.keys())
def test_the_ledger_in_memory_tells_the_same_damage(kind: str, damage: Callable[[MemoryLedger], object]) -> None:
    ledger = MemoryLedger()
    ledger.transact(drafts(0, 8))
    assert ledger.verify() == ()
    damage(ledger)
    assert {fault.kind for fault in ledger.verify()} == {kind}


@pytest.mark.parametrize("what", FLIPS)
def test_a_look_sees_what_was_changed_among_the_newest_entries(tmp_path: Path, what: str) -> None:
    ledger = SqliteLedger(filled(tmp_path))
    assert ledger.look() == ()
    execute(tmp_path, FLIPS[what])
    assert ledger.look()
    ledger.close()


def test_a_look_sees_a_missing_head_and_a_lost_end(tmp_path: Path) -> None:
    ledger = SqliteLedger(filled(tmp_path))
    (tmp_path / "HEAD").rename(tmp_path / "kept")
    assert [fault.kind for fault in ledger.look()] == ["head"]
    (tmp_path / "kept").rename(tmp_path / "HEAD")
    execute(tmp_path, "DELETE FROM events WHERE seq > 9")
    assert [fault.kind for fault in ledger.look()] == ["restored"]
    ledger.close()


def test_a_look_reads_no_more_than_it_is_told(tmp_path: Path) -> None:
    ledger = SqliteLedger(filled(tmp_path))
    execute(tmp_path, FLIPS["an actor"])
    assert ledger.look(5) == ()
    assert [fault.seq for fault in ledger.look(7)] == [6]
    ledger.close()


def test_a_look_beside_a_writer_raises_no_false_alarm(tmp_path: Path) -> None:
    ledger, writer = SqliteLedger(filled(tmp_path)), SqliteLedger(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [writer.transact([draft]) for draft in drafts(100, 200)])
        while not writing.done():
            assert ledger.look() == ()
        writing.result()
    ledger.close()
    writer.close()
