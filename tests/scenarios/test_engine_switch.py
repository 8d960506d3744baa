"""Switches that do nothing, lie or serve other bytes are never believed."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_world import DAY, HOUR, Project, spec_of

from flyball.control import commands
from flyball.control.loop import tick_once
from flyball.control.traffic import LOADING_LOOKS, REFUSED_LOOKS, STUCK_LOOKS
from flyball.errors import TrackingFailed
from flyball.records.findings import FindingKind
from flyball.records.release import Phase
from flyball.records.routing import RoutingTable


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, workers=2)
    yield made
    made.holds()


def looks(project: Project, count: int) -> None:
    for _ in range(count):
        project.clock.sleep(HOUR / 60)
        project.engine.tick()


def switch_findings(project: Project) -> list[str]:
    return [finding.subject for finding in project.findings() if finding.kind is FindingKind.SERVING]


def test_a_deaf_gateway_is_published_to_again_and_never_counted_as_switched(project: Project) -> None:
    first = project.first_champion()
    published: list[int] = []
    project.gateways.on_publish = lambda table: published.append(table.revision)
    project.gateways.deaf.add("1")
    project.version()
    looks(project, 5)
    assert (project.release().phase, project.release().verified_at) == (Phase.SHADOW, None)
    assert len(published) > 4
    assert len(set(published)) == 1
    project.gateways.deaf.clear()
    looks(project, 1)
    assert project.release().verified_at == project.clock.now()
    assert project.champion().unit == first
    assert project.findings() == ()


def test_a_switch_that_stays_undone_is_told_of_once_and_rolled_back(project: Project) -> None:
    first = project.first_champion()
    project.gateways.deaf.add("0")
    second = project.version()
    assert project.gateways.served["1"].routes[0].shadows
    looks(project, STUCK_LOOKS)
    # The deaf one never left, and is not believed to stay either before it says that it has read the table that takes it back.
    assert (project.release().challenger, project.release().phase) == (second, Phase.ROLLING_BACK)
    assert second not in {project.gateways.served["1"].routes[0].champion.unit.id} | {
        one.unit.id for one in project.gateways.served["1"].routes[0].shadows
    }
    assert switch_findings(project) == ["switch"]
    assert len(project.told.heard) == 1
    project.gateways.deaf.clear()
    looks(project, 2)
    assert project.release().phase is Phase.ROLLED_BACK
    assert project.champion().unit == first
    assert project.mentioned() == {first}


def test_a_challenger_that_gateways_say_they_cannot_load_is_given_up_after_few_tries(project: Project) -> None:
    first = project.first_champion()
    published: list[int] = []
    project.gateways.on_publish = lambda table: (
        published.append(table.revision),
        project.gateways.refused.update({one.unit.id: "not enough memory" for one in table.routes[0].shadows}),
    )
    second = project.version()
    looks(project, REFUSED_LOOKS)
    assert (project.release().challenger, project.release().phase) == (second, Phase.ROLLED_BACK)
    assert max(map(published.count, published)) == REFUSED_LOOKS
    assert project.answering() == first
    (told,) = [finding for finding in project.findings() if finding.kind is FindingKind.SERVING]
    assert f"in {REFUSED_LOOKS} looks" in told.words
    assert "not enough memory" in told.words


def test_a_worker_that_says_that_it_loads_is_waited_for_longer_and_not_for_ever(project: Project) -> None:
    first = project.first_champion()
    project.gateways.loading.add("1")
    second = project.version()
    looks(project, 2 * STUCK_LOOKS)
    assert (project.release().phase, project.release().verified_at, switch_findings(project)) == (Phase.SHADOW, None, [])
    project.gateways.loading.clear()
    looks(project, 1)
    assert project.release().verified_at == project.clock.now()
    project.gateways.loading.add("1")
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.CANARY)
    looks(project, LOADING_LOOKS)
    assert (project.release().challenger, project.release().phase) == (second, Phase.ROLLING_BACK)
    (told,) = [finding for finding in project.findings() if finding.kind is FindingKind.SERVING]
    assert f"in {LOADING_LOOKS} looks" in told.words
    assert f"and loads revision {project.gateways.table.revision - 1}" in told.words
    project.gateways.loading.clear()
    looks(project, 1)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)


def test_a_unit_that_loads_at_the_third_try_is_not_given_up(project: Project) -> None:
    project.first_champion()
    tries = 0

    def published(table: RoutingTable) -> None:
        nonlocal tries
        tries += 1
        shadows = {one.unit.id: "not enough memory" for one in table.routes[0].shadows}
        project.gateways.refused = shadows if tries < 3 else {}

    project.gateways.on_publish = published
    project.version()
    looks(project, 2 * REFUSED_LOOKS)
    assert tries == 3
    assert (project.release().phase, switch_findings(project)) == (Phase.SHADOW, [])


def test_a_gateway_that_stays_away_does_not_prolong_a_canary(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        spec_of({"shadow": None, "steps": [{"traffic": 0.1, "at_least": "1h", "at_most": "2d"}], "watch": "6h"}),
        workers=2,
    )
    first = project.first_champion()
    project.version()
    assert project.release().phase is Phase.CANARY
    project.gateways.unreachable.add("1")
    project.live(1 * DAY)
    assert project.release().phase is Phase.CANARY
    project.live(2 * DAY)
    assert project.release().phase is Phase.ROLLING_BACK
    assert "gave up after" in project.release().reason
    assert project.gateways.served["0"].routes[0].canary is None
    project.gateways.restart("1")
    project.live(1 * HOUR)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)
    project.holds()


def test_a_rollback_is_not_done_while_the_table_that_it_takes_back_may_still_be_read(project: Project) -> None:
    """The challenger's table lies on the disk and nobody has read it yet: what is served looks like the rollback, and is what came before."""
    first = project.first_champion()
    project.gateways.deaf |= {"0", "1"}
    second = project.version()
    assert second not in {unit.unit.id for table in project.gateways.served.values() for unit in table.routes[0].units}
    orders = project.roll_back()
    assert orders.status == "done"
    looks(project, 1)
    assert project.release().phase is Phase.ROLLING_BACK
    project.gateways.deaf.clear()
    looks(project, 1)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)
    assert {table.revision for table in project.gateways.served.values()} == {project.gateways.table.revision}


def test_a_rollback_that_silently_does_nothing_is_not_done(project: Project) -> None:
    first = project.first_champion()
    second = project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.WATCHING)
    project.gateways.deaf |= {"0", "1"}
    assert project.roll_back().status == "done"
    looks(project, 2 * STUCK_LOOKS)
    assert (project.release().phase, project.champion().unit, project.answering()) == (Phase.ROLLING_BACK, second, second)
    assert switch_findings(project) == ["switch"]
    project.gateways.deaf.clear()
    looks(project, 1)
    assert (project.release().phase, project.champion().unit, project.answering()) == (Phase.ROLLED_BACK, first, first)


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.FULL])
def test_a_gateway_that_serves_other_bytes_is_not_believed(tmp_path: Path, phase: Phase) -> None:
    shadow = {"at_least": "1h", "at_most": "1d"} if phase is Phase.SHADOW else None
    project = Project(tmp_path, spec_of({"shadow": shadow, "steps": [], "watch": "6h", "labels": "never"}))
    first = project.first_champion()
    project.gateways.on_publish = lambda table: project.gateways.wrong_bytes.update(
        unit for unit in (table.routes[0].champion.unit.id, *(one.unit.id for one in table.routes[0].shadows)) if unit != first
    )
    project.version()
    assert (project.release().phase, project.release().verified_at) == (phase, None)
    assert project.champion().unit == first
    looks(project, STUCK_LOOKS + 1)
    assert project.release().phase is Phase.ROLLED_BACK
    assert (project.champion().unit, project.champion().verified) == (first, (first,))
    project.holds()


def test_looks_count_only_in_a_row(project: Project) -> None:
    project.first_champion()
    project.version()
    for _ in range(3):
        project.gateways.served["1"] = None  # a worker was started again, and reads an old table
        project.gateways.deaf.add("1")
        project.gateways.served["1"] = project.gateways.served["0"].__class__(
            revision=1, written_at=project.clock.now(), routes=()
        )
        looks(project, STUCK_LOOKS - 5)
        project.gateways.deaf.clear()
        looks(project, 1)
    assert switch_findings(project) == []
    assert project.release().phase is Phase.SHADOW


def test_a_gateway_that_keeps_an_old_route_is_told_of_when_no_release_is_under_way_too(project: Project) -> None:
    project.first_champion()
    project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.WATCHING)
    project.gateways.deaf |= {"0", "1"}
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    looks(project, STUCK_LOOKS)
    assert switch_findings(project) == ["switch"]


def test_a_registry_that_is_away_does_not_hold_up_a_rollback(project: Project) -> None:
    first = project.first_champion()
    project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.WATCHING)

    def away(*_: object) -> None:
        raise TrackingFailed("the tracking server does not answer")

    register, project.registry.register = project.registry.register, away
    commands.order(project.door, "run", "user:me", "")
    order = commands.order(project.door, "roll_back", "user:me", "it is wrong")
    for _ in range(4):
        tick_once(project.engine)
    assert any("the tracking server does not answer" in words for style, words in project.said if style == "bad")
    assert project.door.get("command", order.id, commands.Command).status == "done"
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)
    project.registry.register = register
    project.tick()
    assert len(project.registry.versions("shop")) == 3


@pytest.mark.parametrize("phase", ["shadow", "canary", "watching"])
def test_a_challenger_that_the_gateways_leave_alone_is_taken_back_at_the_next_look(project: Project, phase: str) -> None:
    first = project.first_champion()
    second = project.version()
    project.live(9 * DAY, until=lambda: project.phases("r-0002")[-1].partition(" ")[0] == phase)
    project.gateways.tripped = {second: "the model raised ValueError", first: "the model raised ValueError"}
    looks(project, 2)
    assert project.phases("r-0002")[-1].partition(" ")[0] == phase  # both fail: it is the machine
    del project.gateways.tripped[first]
    project.tick()
    assert project.release().phase is Phase.ROLLED_BACK
    assert "not asked any more: worker 0: the model raised ValueError" in project.release().reason
    assert project.answering() == first


def test_the_first_unit_of_a_model_is_not_taken_back_to_nobody(project: Project) -> None:
    first = project.version()
    assert project.release().phase is Phase.WATCHING
    project.gateways.tripped = {first: "the model raised ValueError"}
    looks(project, 3)
    assert project.answering() == first


def test_a_controller_that_starts_in_mid_release_needs_no_registry_to_roll_it_back(project: Project) -> None:
    first = project.first_champion()
    project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.WATCHING)

    def away(*_: object) -> None:
        raise TrackingFailed("the tracking server does not answer")

    fetch, project.registry.fetch = project.registry.fetch, away
    mark, project.registry.mark = project.registry.mark, away
    project.restart()
    commands.order(project.door, "roll_back", "user:me", "it is wrong")
    for _ in range(4):
        tick_once(project.engine)
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)
    project.registry.fetch, project.registry.mark = fetch, mark


@pytest.mark.parametrize("challenger", ["whole", "damaged"])
def test_a_project_that_was_moved_in_mid_release_is_served_from_where_it_lies_now(
    project: Project, tmp_path: Path, challenger: str
) -> None:
    project.first_champion()
    project.version()
    before = project.gateways.served["0"]
    moved = (tmp_path / "registry").rename(tmp_path / "moved")
    project.registry._root = moved
    damaged = moved / "shop" / "2" / "signature.json"
    if challenger == "damaged":
        damaged.rename(damaged.with_suffix(".away"))
    project.restart()
    looks(project, 1)
    project.restart()
    looks(project, 1)
    (found,) = project.ledger.events(kinds=("packages.found",))
    after = project.gateways.served["0"]
    assert after.revision == before.revision + 1
    places = {served.unit.id: Path(served.package) for route in after.routes for served in route.units}
    inside = {unit for unit, place in places.items() if place.is_relative_to(moved)}
    assert inside == set(found.payload["places"])
    assert len(places) == 2
    assert len(inside) == (2 if challenger == "whole" else 1)
    assert project.release().phase is Phase.SHADOW
    if challenger == "damaged":
        damaged.with_suffix(".away").rename(damaged)
        project.restart()
        looks(project, 1)
        assert all(Path(served.package).is_relative_to(moved) for served in project.gateways.served["0"].routes[0].units)


@pytest.mark.parametrize(("later", "others"), [(2, True), (2, False), (0, True)])
def test_a_ledger_that_was_restored_is_served_though_gateways_know_later_tables(
    project: Project, later: int, others: bool
) -> None:
    project.version()
    routes = project.gateways.table.routes
    project.gateways.table = RoutingTable(
        revision=project.gateways.table.revision + later,
        written_at=project.clock.now(),
        routes=tuple(msgspec.structs.replace(each, salt="r-0002") for each in routes) if others else routes,
    )
    for worker in project.gateways.served:
        project.gateways.restart(worker)
    for _ in range(2):
        project.restart()
        looks(project, 1)
    assert (project.engine.switch.state, project.gateways.table.routes) == ("verified", routes)
    (event,) = project.ledger.events(kinds=("routing.renumbered",))
    assert event.payload["revision"] == event.payload["found"] + 1 == project.gateways.table.revision


def test_the_first_table_of_a_ledger_that_was_restored_to_before_it_is_taken(project: Project) -> None:
    project.gateways.publish(RoutingTable(revision=4, written_at=project.clock.now(), routes=()))
    project.restart()
    first = project.version()
    assert (project.engine.switch.state, project.gateways.table.revision, project.answering()) == ("verified", 5, first)
