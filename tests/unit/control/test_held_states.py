"""What is asked of a ledger at each look does not grow with all that was ever done, and is what stands in it."""

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from ledger_world import CountingLedger, world_at

from flyball.adapters.ledger import MemoryLedger
from flyball.control import held_states, jobs
from flyball.control.remedies import Remedies
from flyball.control.todos import Todo
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.decisions import Action, Approval
from flyball.records.events import Put
from flyball.records.jobs import Job, JobStatus

AT = datetime(2026, 11, 27, tzinfo=UTC)


def job(number: int, status: JobStatus = JobStatus.REFUSED) -> Put:
    made = Job(id=f"j-{number:04d}", model="shop", status=status, requested_at=AT, as_of=AT, cause="d-000001", spec_digest="x")
    return put("job", made.id, made)


def done(number: int) -> tuple[Put, ...]:
    """A job, what it was asked for by, and what a person said yes to."""
    name = f"d-{number:06d}"
    todos = (
        Todo(id=f"{name}{end}", decision=name, done=True, action=Action(kind="notify", subject="model:shop"))
        for end in (".0", ".approved")
    )
    yes = Approval(
        id=name, decision=name, action_digest="x", requested_at=AT, requested_by="autopilot", expires_at=None, answer="approved"
    )
    return (job(number), *(put("todo", todo.id, todo) for todo in todos), put("approval", name, yes))


def looked(count: int) -> tuple[int, int]:
    """What a look at remedies and jobs is given after so many are done: where nothing has happened since the last one, and where another process wrote."""
    ledger = CountingLedger()
    world = world_at(AT, ledger=ledger)
    remedies = Remedies(world, SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]
    world.record(*(draft(AT, "test.done", f"job:{number}", {}, done(number)) for number in range(count)))

    def look() -> int:
        ledger.given = 0
        remedies.consider(None)
        jobs.active(world)
        world.by_last_event("job", Job)
        return ledger.given

    look()
    idle = look()
    world_at(AT, ledger=ledger).record(draft(AT, "test.done", "job", {}, (job(count + 1),)))
    return idle, look()


def test_a_look_reads_no_more_after_a_long_life() -> None:
    assert looked(300) == looked(30)
    assert looked(30)[0] == 0


def test_a_job_that_another_process_asked_for_is_seen_at_once_and_one_that_is_done_no_more() -> None:
    ledger = MemoryLedger()
    world, door = world_at(AT, ledger=ledger), world_at(AT, ledger=ledger)
    assert jobs.active(world) == ()
    asked = jobs.request(door, "user:me")
    assert [each.id for each in jobs.active(world)] == [asked.id]
    ended = msgspec.structs.replace(asked, status=JobStatus.FAILED)
    door.record(draft(AT, "job.failed", f"job:{asked.id}", {}, (put("job", asked.id, ended),)))
    assert jobs.active(world) == ()


class Note(msgspec.Struct, frozen=True):
    n: int


def stands(ledger: MemoryLedger, kind: str) -> tuple[Note, ...]:
    return tuple(codec.revive(stored.value, Note) for stored in ledger.states(kind))


@pytest.mark.parametrize("most", [held_states.MOST, 3])
def test_what_is_held_is_what_stands_whoever_writes(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(held_states, "MOST", most)
    draw, ledger = np.random.default_rng(5), MemoryLedger()
    worlds = [world_at(AT, ledger=ledger) for _ in range(3)]
    for world in worlds:
        world.epoch = None
    for step in range(300):
        world: World = worlds[draw.integers(3)]
        for _ in range(draw.integers(1, 4)):
            key, kind = f"k{draw.integers(8)}", "ab"[draw.integers(2)]
            value = None if draw.random() < 0.3 else {"n": step}
            once = f"once:{draw.integers(40)}" if draw.random() < 0.3 else None
            world.record(draft(AT, "note.made", key, {}, (Put(kind, key, value), Put(kind, key + "x", {"n": -step})), key=once))
        reader = worlds[draw.integers(3)]
        assert reader.all("a", Note) == stands(ledger, "a")
        order = sorted(ledger.states("b"), key=lambda stored: (stored.seq, stored.key))
        assert reader.by_last_event("b", Note) == tuple(codec.revive(stored.value, Note) for stored in order)


def test_what_is_held_of_a_ledger_that_a_backup_has_replaced_is_read_anew() -> None:
    """Shorter, as long, or longer than what was seen: other events stand in it."""
    for count in (1, 2, 3):
        world = world_at(AT, ledger=MemoryLedger())
        world.record(*(draft(AT, "note.made", "k", {}, (put("a", f"k{n}", Note(n)),)) for n in range(2)))
        assert world.all("a", Note) == (Note(0), Note(1))
        other = MemoryLedger()
        world_at(AT, ledger=other).record(
            *(draft(AT, "note.made", "k", {}, (put("a", "other", Note(10 * n)),)) for n in range(count))
        )
        world.ports = world.ports._replace(ledger=other)
        assert world.all("a", Note) == (Note(10 * (count - 1)),)
