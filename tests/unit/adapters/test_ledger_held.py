"""States in memory follow what is written, and nothing is remembered of a write that failed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flyball.adapters.ledger import HeldLedger, SqliteLedger
from flyball.errors import Fenced
from flyball.records.events import Draft, Put

AT = datetime(2026, 1, 1, tzinfo=UTC)


def draft(*puts: Put, key: str | None = None) -> Draft:
    return Draft(at=AT, kind="thing.done", subject="thing:1", actor="control", puts=puts, key=key)


def test_what_is_held_is_what_lies_on_the_disk_after_every_write(tmp_path: Path) -> None:
    held, disk = HeldLedger(SqliteLedger(tmp_path)), SqliteLedger(tmp_path)
    held.transact([draft(Put("a", "é", {"n": 1}), Put("a", "b", {"n": 2}), Put("c", "x", {"n": 3}))])
    assert held.states("a") == disk.states("a")
    held.transact(
        [draft(Put("a", "b", None), Put("a", "a", {"n": 4}), Put("a", "a", {"n": 5})), draft(Put("c", "x", {"n": 6}), key="once")]
    )
    held.transact([draft(Put("c", "x", {"n": 7})), draft(Put("c", "x", {"n": 8}), key="once")])
    for kind in ("a", "c", "none"):
        assert held.states(kind) == disk.states(kind)
    assert held.state("c", "x") == disk.state("c", "x")
    assert held.state("a", "b") is None
    disk.close()
    held.close()


def test_after_a_refused_write_the_disk_is_asked_again(tmp_path: Path) -> None:
    held = HeldLedger(SqliteLedger(tmp_path))
    old = held.claim("one", AT)
    held.transact([draft(Put("a", "x", {"n": 1}))], epoch=old)
    assert held.states("a")[0].value == {"n": 1}
    other = SqliteLedger(tmp_path)
    new = other.claim("two", AT)
    other.transact([draft(Put("a", "x", {"n": 2}))], epoch=new)
    with pytest.raises(Fenced):
        held.transact([draft(Put("a", "x", {"n": 3}))], epoch=old)
    assert held.states("a") == other.states("a")
    assert held.states("a")[0].value == {"n": 2}
    other.close()
    held.close()
