"""What the Ledger port promises, held against every adapter."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from flyball.adapters.ledger import HeldLedger, MemoryLedger, SqliteLedger
from flyball.errors import Fenced
from flyball.records.events import GENESIS, Draft, Head, Put, chain_hash, unseal

AT = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
Ledger = SqliteLedger | MemoryLedger | HeldLedger


@pytest.fixture(params=["sqlite", "memory", "held", "not_durable"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    make: dict[str, Callable[[], Ledger]] = {
        "sqlite": lambda: SqliteLedger(tmp_path), "memory": MemoryLedger,
        "held": lambda: HeldLedger(SqliteLedger(tmp_path)), "not_durable": lambda: SqliteLedger(tmp_path, durable=False),
    }  # fmt: skip
    made = make[request.param]()
    yield made
    made.close()


def draft(
    n: int = 0, *, puts: tuple[Put, ...] = (), key: str | None = None, kind: str = "thing.done", subject: str = "thing:1"
) -> Draft:
    return Draft(
        at=AT, kind=kind, subject=subject, actor="control", payload={"n": n, "words": 'é " \\ \n\u2028'}, puts=puts, key=key
    )


def test_an_empty_ledger_begins_at_genesis_and_holds(ledger: Ledger) -> None:
    assert ledger.head() == Head(0, GENESIS)
    assert ledger.events() == ()
    assert ledger.verify() == ()
    assert ledger.transact([]) == ()


def test_entries_are_chained_by_the_hash_that_the_records_define(ledger: Ledger) -> None:
    made = ledger.transact([draft(1, puts=(Put("b", "k", {"z": 1.5, "a": [None, True]}),)), draft(2, key="x")])
    assert [event.seq for event in made] == [1, 2]
    assert made[0].prev == GENESIS
    assert made[1].prev == made[0].hash
    assert all(chain_hash(event.seq, unseal(event), event.prev) == event.hash for event in made)
    assert ledger.events() == made
    assert ledger.head() == Head(2, made[1].hash)
    assert ledger.verify() == ()


def test_times_of_other_zones_are_kept_as_utc_and_times_without_one_are_refused(ledger: Ledger) -> None:
    (event,) = ledger.transact([Draft(at=AT.astimezone(timezone(timedelta(hours=5))), kind="k", subject="s", actor="a")])
    assert event.at == AT
    assert event.at.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="zone"):
        ledger.transact([Draft(at=AT.replace(tzinfo=None), kind="k", subject="s", actor="a")])
    assert ledger.verify() == ()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "\ud800"])
def test_what_cannot_be_kept_exactly_is_refused_and_nothing_is_written(ledger: Ledger, bad: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each library words it differently
        ledger.transact([draft(1, puts=(Put("a", "b", {}),)), Draft(at=AT, kind="k", subject="s", actor="a", payload={"x": bad})])
    assert ledger.events() == ()
    assert ledger.states("a") == ()
    assert ledger.transact([draft(2)])[0].seq == 1


def test_a_key_that_is_there_is_skipped_with_its_puts_and_answers_with_the_first_event(ledger: Ledger) -> None:
    (first,) = ledger.transact([draft(1, key="once", puts=(Put("a", "x", {"v": 1}),))])
    before, again, after = ledger.transact(
        [draft(2, puts=(Put("a", "y", {"v": 2}),)), draft(3, key="once", puts=(Put("a", "x", {"v": 3}),)), draft(4, key="new")]
    )
    assert again == first
    assert [before.seq, after.seq] == [2, 3]
    stored = ledger.state("a", "x")
    assert stored is not None
    assert (stored.value, stored.seq) == ({"v": 1}, 1)
    assert ledger.transact([draft(9, key="new"), draft(9, key="once")]) == (after, first)
    assert ledger.head().seq == 3
    assert ledger.verify() == ()


def test_the_same_key_twice_in_one_batch_is_one_event(ledger: Ledger) -> None:
    one, two = ledger.transact(
        [draft(1, key="k", puts=(Put("a", "x", {"v": 1}),)), draft(2, key="k", puts=(Put("a", "x", {"v": 2}),))]
    )
    assert one == two
    assert ledger.head().seq == 1
    assert [stored.value for stored in ledger.states("a")] == [{"v": 1}]


def test_states_are_the_last_put_in_order_of_key_and_none_removes(ledger: Ledger) -> None:
    ledger.transact([draft(puts=(Put("a", "y", {"v": 1}), Put("a", "x", {"v": 2}), Put("b", "z", {"v": 3})))])
    ledger.transact(
        [draft(puts=(Put("a", "x", {"v": 4}), Put("a", "x", {"v": 5}), Put("b", "z", None), Put("b", "never", None)))]
    )
    ledger.transact([draft(puts=(Put("c", "q", {"v": 1}),)), draft(puts=(Put("c", "q", None),))])
    assert [(stored.key, stored.value, stored.seq) for stored in ledger.states("a")] == [("x", {"v": 5}, 2), ("y", {"v": 1}, 1)]
    assert [(each.key, each.seq) for each in ledger.states("a", lambda key, seq: (key, seq) == ("x", 2))] == [("x", 2), ("y", 1)]
    assert ledger.states("a", lambda key, seq: (key, seq) == ("x", 1)) == ledger.states("a")
    assert ledger.states("b") == ()
    assert ledger.state("b", "z") is None
    assert ledger.state("c", "q") is None
    assert ledger.verify() == ()


def test_events_are_found_by_place_kind_and_subject(ledger: Ledger) -> None:
    ledger.transact([draft(n, kind=f"kind.{n % 2}", subject=f"s:{n % 3}") for n in range(12)])
    assert [event.seq for event in ledger.events(after=9)] == [10, 11, 12]
    assert [event.seq for event in ledger.events(kinds=["kind.1"], limit=2)] == [2, 4]
    assert [event.seq for event in ledger.events(kinds=["kind.0", "kind.1"], subject="s:2", after=3)] == [6, 9, 12]
    assert ledger.events(kinds=["unknown"]) == ()


def test_the_newest_events_are_read_alone_and_in_order(ledger: Ledger) -> None:
    ledger.transact([draft(n, kind=f"kind.{n % 2}", subject=f"thing:{n % 3}") for n in range(10)])
    assert [event.seq for event in ledger.events(limit=3, newest=True)] == [8, 9, 10]
    assert [event.seq for event in ledger.events(kinds=["kind.1"], limit=2, newest=True)] == [8, 10]
    assert [event.seq for event in ledger.events(kinds=["kind.1"], subject="thing:1", after=2, limit=5, newest=True)] == [8]
    assert ledger.events(limit=0, newest=True) == ()
    assert ledger.events(limit=99, newest=True) == ledger.events(newest=True) == ledger.events()


@pytest.mark.parametrize("count", [3, 700])
def test_states_that_are_known_are_told_by_key_and_event(ledger: Ledger, count: int) -> None:
    ledger.transact([draft(n, puts=(Put("a", f"k{n:03d}", {"n": n}),)) for n in range(count)])
    ledger.transact([draft(puts=(Put("b", "k001", {"n": -1}),))])
    before = {stored.key: stored.seq for stored in ledger.states("a")}
    asked = list[str]()

    def known(key: str, seq: int) -> bool:
        asked.append(key)
        return before[key] == seq and key != "k001"

    found = ledger.states("a", known)
    assert [(stored.key, stored.seq) for stored in found] == [*before.items()]
    assert found[1].value == {"n": 1}
    assert all(stored.value in ({}, {"n": int(stored.key[1:])}) for stored in found)
    assert asked in ([], [*before])  # one adapter holds all
    assert ledger.states("a", lambda _key, _seq: False) == ledger.states("a")


def test_a_newer_controller_fences_the_older_one(ledger: Ledger) -> None:
    old = ledger.claim("one", AT)
    ledger.transact([draft(1)], epoch=old)
    new = ledger.claim("two", AT)
    assert new > old
    with pytest.raises(Fenced, match="has taken over"):
        ledger.transact([draft(2, puts=(Put("a", "x", {}),))], epoch=old)
    assert ledger.states("a") == ()
    ledger.transact([draft(3)], epoch=new)
    ledger.transact([draft(4)])  # a signal of the command line is not a controller's write
    assert [event.kind for event in ledger.events()] == [
        "control.claimed",
        "thing.done",
        "control.claimed",
        "thing.done",
        "thing.done",
    ]
    assert ledger.events(kinds=["control.claimed"])[-1].payload == {"epoch": new, "owner": "two"}
    assert ledger.verify() == ()


def test_threads_lose_nothing_and_the_chain_stays_whole(ledger: Ledger) -> None:
    answers: list[tuple[int, str]] = []

    def write(number: int) -> None:
        for n in range(25):
            (event,) = ledger.transact([draft(n, key=f"{number}-{n}", puts=(Put("counter", str(number), {"n": n}),))])
            answers.append((event.seq, event.hash))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(event.seq, event.hash) for event in ledger.events()]
    assert [stored.value for stored in ledger.states("counter")] == [{"n": 24}] * 8
    assert ledger.head().seq == 200
    assert ledger.verify() == ()
