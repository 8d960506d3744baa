"""What flyball.yaml says of capture reaches the gateways, and monitoring says what it no longer sees."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.capture.keeping import Keeper
from flyball.control import queries
from flyball.control.world import World
from flyball.records.captured import Captured, PredictionBatch
from flyball.records.findings import FindingKind
from flyball.records.keeping import Keeping

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


class Obedient(Project):
    """Its gateways keep to the table's rules."""

    def _answers(self, *given: Any) -> list[Captured]:
        rules = given[0].routes[0].keeping
        keeper = Keeper(rules, b"k" * 32) if rules is not None else None
        found = super()._answers(*given)
        return [keeper.prediction(one) if keeper and isinstance(one, PredictionBatch) else one for one in found]


def lived(root: Path, **capture: Any) -> Obedient:
    """Twenty days; from the twelfth on the feature moves far."""
    project = Obedient(root, spec_of(AT_ONCE, monitor=MONITOR, capture=capture))
    project.version()
    for day in range(20):
        project.shift = 2.0 if day >= 12 else 0.0
        project.live(DAY)
    project.holds()
    return project


def drifted(project: Project) -> set[str]:
    return {finding.subject for finding in project.findings() if finding.kind is FindingKind.FEATURE_DRIFT}


def notes(project: Project) -> set[str]:
    return {event.payload["note"] for event in project.ledger.events(kinds=("window.closed",))}


def test_a_drift_that_everybody_may_see_is_found(tmp_path: Path) -> None:
    project = lived(tmp_path)
    assert drifted(project) == {"x"}
    assert notes(project) == {""}
    assert queries.status(project.door, controller_alive=True).not_monitored == ()


@pytest.mark.parametrize(("rule", "words"), [("drop", "dropped"), ("hash", "hashed")])
def test_what_is_hidden_is_said_to_be_unmonitored_and_never_drifts(tmp_path: Path, rule: str, words: str) -> None:
    project = lived(tmp_path, fields={"x": rule})
    assert drifted(project) == set()
    assert notes(project) == {"not monitored, since no value was captured: x"}
    assert all("x" not in window.drift for window in project.windows())
    assert queries.status(project.door, controller_alive=True).not_monitored == (f"x ({words})",)
    # Its answers are judged as ever.
    assert all(window.metrics for window in project.windows() if window.mature)


def test_a_sampled_column_is_judged_on_its_sample(tmp_path: Path) -> None:
    project = lived(tmp_path, fields={"x": {"sample": 0.25}})
    assert drifted(project) == {"x"}
    assert notes(project) == {""}
    found = next(finding for finding in project.findings() if finding.subject == "x")
    assert 20 <= found.evidence.n <= 100  # a quarter of 240


def test_a_sample_too_small_to_test_is_said_to_be_so(tmp_path: Path) -> None:
    project = lived(tmp_path, fields={"x": {"sample": 0.03}})
    assert drifted(project) == set()
    assert all("fewer than min_rows 20" in note or "no value was captured" in note for note in notes(project))


def test_a_changed_rule_is_published_once_as_a_new_table_and_the_release_stays_as_it_is(tmp_path: Path) -> None:
    project = Obedient(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.first_champion()
    before, release = project.gateways.served["0"], project.release()
    project.spec = spec_of(AT_ONCE, monitor=MONITOR, capture={"fields": {"x": "drop"}, "keys": "hash"})
    project.door = World(project.spec, project.door.place, project.door.ports, project._say)
    project.restart()
    project.tick()
    project.restart()
    project.tick()
    after = project.gateways.served["0"]
    assert after.revision == before.revision + 1
    assert after.routes == tuple(
        msgspec.structs.replace(each, keeping=Keeping(drop=("x",), keys="hash")) for each in before.routes
    )
    assert project.release() == release
    declared = project.ledger.events(kinds=("capture.declared",))
    assert [event.payload["drop"] for event in declared] == [["x"]]
    project.live(DAY + HOUR)
    project.version()  # a new release's tables keep the rules
    assert project.gateways.served["0"].routes[0].keeping == Keeping(drop=("x",), keys="hash")
    project.holds()


def test_a_column_whose_rule_left_flyball_yaml_before_anything_was_served_is_kept_out_by_the_package(tmp_path: Path) -> None:
    project = Obedient(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    # When it was made `email` was a feature, and so was `x`, which had a rule that is no more.
    project.version(Model(capture=Keeping(drop=("email", "x"), keys="drop")))
    assert project.gateways.served["0"].routes[0].keeping == Keeping(drop=("email",))
    project.version(Model(capture=Keeping(hash=("email", "phone"))))
    assert project.gateways.served["0"].routes[0].keeping == Keeping(drop=("email",), hash=("phone",))
    project.restart()
    project.tick()
    assert not project.ledger.events(kinds=("capture.declared",))


def test_slices_that_cannot_be_told_any_more_are_said_not_to_be_searched(tmp_path: Path) -> None:
    project = Obedient(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(2 * DAY)
    project.spec = project.door.spec = spec_of(AT_ONCE, monitor=MONITOR, capture={"fields": {"x": "drop"}})
    project.restart()
    project.live(2 * DAY)
    matured = [event.payload["note"] for event in project.ledger.events(kinds=("window.matured",))]
    assert matured[0] == ""
    assert matured[-1] == "slices are not searched: capture has not every value of x"
