"""What people see in the registry follows the champion, whatever changed it and whoever died in between."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger_world import world_at

from flyball.control.aliases import AGAIN, Aliases
from flyball.control.world import World, draft, put
from flyball.errors import TrackingFailed
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Champion
from flyball.records.unit import Unit

AT = datetime(2026, 11, 22, tzinfo=UTC)
SPEC = {
    "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
    "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
}  # fmt: skip


class Marks:
    """The part of a registry that aliases use; keeps every call, and can be away."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.away = False

    def mark(self, _model: str, number: int, alias: str) -> None:
        if self.away:
            raise TrackingFailed("MLflow cannot be reached")
        self.calls.append((alias, number))


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def world(marks: Marks) -> World:
    made = world_at(AT, SPEC, registry=marks)
    for version in (1, 2):
        unit = Unit(id=f"u{version}", model="shop", version=version, manifest_digest="d", threshold=0.5, policy_digest="p")
        job = Job(
            id=f"j-{version}", model="shop", status=JobStatus.REGISTERED, requested_at=AT, as_of=AT, cause="me", version=version
        )
        made.record(draft(AT, "test", "test", {}, (put("unit", unit.id, unit), put("job", job.id, job))))
    return made


def crown(world: World, unit: str) -> None:
    world.record(
        draft(AT, "test", "test", {}, (put("champion", "shop", Champion(model="shop", unit=unit, since=AT, release="r-1")),))
    )


def test_a_change_of_champion_is_marked_once_whichever_way_it_goes(world: World, marks: Marks) -> None:
    aliases = Aliases(world)
    for unit in ("u1", "u2", "u2", "u1"):  # the last one is a rollback
        crown(world, unit)
        aliases.reconcile()
    assert [call for call in marks.calls if call[0] == "champion"] == [("champion", 1), ("champion", 2), ("champion", 1)]
    assert [call for call in marks.calls if call[0] == "challenger"] == [("challenger", 2)]


def test_a_new_controller_marks_what_a_killed_one_did_not(world: World, marks: Marks) -> None:
    crown(world, "u1")
    Aliases(world).reconcile()
    crown(world, "u2")  # killed here
    Aliases(world).reconcile()
    assert marks.calls[-1] == ("champion", 2)
    Aliases(world).reconcile()
    assert len(marks.calls) == 3, "what was written needs no registry to be known"


def test_a_registry_that_is_away_is_asked_again_after_a_minute_and_stops_no_tick(world: World, marks: Marks) -> None:
    crown(world, "u1")
    aliases = Aliases(world)
    marks.away = True
    aliases.reconcile()
    marks.away = False
    aliases.reconcile()
    assert marks.calls == []
    world.ports.clock.sleep(AGAIN + timedelta(seconds=1))
    aliases.reconcile()
    assert sorted(marks.calls) == [("challenger", 2), ("champion", 1)]


def test_a_busy_tick_leaves_them_to_the_next_and_no_further(world: World, marks: Marks) -> None:
    crown(world, "u1")
    aliases = Aliases(world)
    aliases.reconcile(busy=True)
    assert marks.calls == []
    aliases.reconcile(busy=True)
    assert ("champion", 1) in marks.calls, "a tick after which each is busy, too, leaves none behind"
    crown(world, "u2")
    aliases.reconcile(busy=True)
    aliases.reconcile()
    assert marks.calls[-1] == ("champion", 2)
