"""Findings that stand in a ledger: which of them may be taken as normal, and which figure is shown beside each."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from ledger_world import world_at

from flyball.control import acknowledging, commands, diagnoses, findings
from flyball.control.world import World, draft, put
from flyball.errors import Conflict
from flyball.monitoring import quality
from flyball.monitoring.drift import DriftState, StreamState
from flyball.monitoring.quality import Fault
from flyball.records.evidence import Evidence
from flyball.records.findings import Acknowledgement, Finding, FindingKind, WindowSummary
from flyball.records.release import Champion, Phase, ReleaseState

AT = datetime(2026, 11, 27, tzinfo=UTC)
NOBODY = commands.Hands(None, None, None)  # type: ignore[arg-type]
"""An acknowledgement needs none."""


@pytest.fixture
def world() -> World:
    return world_at(AT)


def told(world: World, number: int, kind: FindingKind, subject: str, unit: str = "u1", method: str = "") -> Finding:
    start = AT + timedelta(days=number)
    made = Finding(
        id=f"f-{number}", number=number, kind=kind, model="shop", unit=unit, subject=subject, window_start=start,
        window_end=start + timedelta(days=1), effect=0.1, effect_unit="", evidence=Evidence(name="e", value=1.0, method=method),
        share_of_budget=0.1, words="",
    )  # fmt: skip
    world.record(draft(AT, "finding.raised", f"finding:{made.id}", {}, (put("finding", made.id, made),)))
    return made


@pytest.mark.parametrize(
    ("kind", "later", "subject", "unit"),
    [
        (FindingKind.PERFORMANCE, FindingKind.PERFORMANCE, "loss", "u1"),
        (FindingKind.PERFORMANCE, FindingKind.PERFORMANCE, "slice far", "u1"),
        (FindingKind.FEATURE_DRIFT, FindingKind.DATA_QUALITY, "x", "u1"),
        (FindingKind.OPERATIONS, FindingKind.OPERATIONS, "requests", "u2"),
    ],
)
def test_what_was_told_again_is_taken_as_normal_by_its_newest_finding_only(
    world: World, kind: FindingKind, later: FindingKind, subject: str, unit: str
) -> None:
    first = told(world, 1, kind, subject)
    told(world, 2, later, subject, unit)
    head = world.ports.ledger.head()
    with pytest.raises(Conflict, match=f"finding 1 cannot be taken as normal: finding 2 tells what {subject} has become since"):
        findings.acknowledge(world, "1", "user:me", "", as_normal=True)
    with pytest.raises(Conflict, match="finding 2 tells"):
        acknowledging.begun_anew(world, first.id, as_normal=True)
    assert world.ports.ledger.head() == head
    findings.acknowledge(world, "1", "user:me", "", as_normal=False)
    findings.acknowledge(world, "2", "user:me", "", as_normal=True)


def test_a_refusal_names_no_step_that_is_refused_as_well(world: World) -> None:
    told(world, 1, FindingKind.CONCEPT_DRIFT, "x")
    told(world, 2, FindingKind.FEATURE_DRIFT, "x")
    gone = told(world, 3, FindingKind.DATA_QUALITY, "x", method="two-sample permutation p-values")
    world.record(draft(AT, "test", "f", {}, (put("finding", gone.id, msgspec.structs.replace(gone, fault=quality.COUNTED[0])),)))
    with pytest.raises(Conflict, match=r"finding 3 tells what .* Next: flyball acknowledge 2, without --as-normal"):
        findings.acknowledge(world, "2", "user:me", "", as_normal=True)
    told(world, 4, FindingKind.FEATURE_DRIFT, "z")
    told(world, 5, FindingKind.FEATURE_DRIFT, "z")

    def steps() -> str:
        with pytest.raises(Conflict, match="finding 5 tells") as refused:
            findings.acknowledge(world, "4", "user:me", "", as_normal=True)
        return refused.value.next_step

    assert steps() == "flyball acknowledge 5 --as-normal, or 4 without it"
    findings.acknowledge(world, "5", "user:me", "", as_normal=True)
    assert steps() == "flyball acknowledge 4, without --as-normal"
    findings.acknowledge(world, "4", "user:me", "", as_normal=False)
    assert steps() == ""


def test_what_was_found_before_its_unit_became_champion_again_moves_no_detector_of_now(world: World) -> None:
    before, now = told(world, 1, FindingKind.FEATURE_DRIFT, "x"), told(world, 3, FindingKind.FEATURE_DRIFT, "z")
    service = told(world, 2, FindingKind.OPERATIONS, "requests")
    champion = Champion(model="shop", unit="u1", since=before.window_end, release="r")
    seen = StreamState(pool=(9, 9), parts=((9, 9), (), ()), windows=1)
    state = DriftState(streams={"x": seen, "z": seen}, windows=1)
    world.record(draft(AT, "t", "m", {}, (put("champion", "shop", champion), put("drift", "u1", state))))
    with pytest.raises(Conflict, match="finding 1 cannot be taken as normal: it was found before u1 became champion again"):
        findings.acknowledge(world, "1", "user:me", "", as_normal=True)
    assert acknowledging.begun_anew(world, before.id, as_normal=False) == ((), "nothing has to begin anew for finding 1")
    assert acknowledging.begun_anew(world, now.id, as_normal=False)[0]
    for each in (now, service):
        assert findings.acknowledge(world, each.id, "user:me", "", as_normal=True).accepted


def test_what_the_controller_cannot_take_as_normal_is_seen_and_not_taken_so(world: World) -> None:
    first = told(world, 1, FindingKind.FEATURE_DRIFT, "x")
    findings.acknowledge(world, "1", "user:me", "a sale", as_normal=True)
    assert acknowledging.taken_as_normal(world) == {first.id}
    told(world, 2, FindingKind.FEATURE_DRIFT, "x")
    (order,) = commands.open_commands(world)
    assert commands.carry_out(world, NOBODY, order).status == "refused"
    (said,) = world.all("acknowledgement", Acknowledgement)
    assert (said.by, said.reason, acknowledging.taken_as_normal(world)) == ("user:me", "a sale", frozenset())
    assert not commands.open_commands(world)


def test_what_another_detector_told_later_keeps_nobody_from_it(world: World) -> None:
    told(world, 1, FindingKind.FEATURE_DRIFT, "x")
    told(world, 2, FindingKind.FEATURE_DRIFT, "z")
    told(world, 3, FindingKind.FEATURE_DRIFT, "x", unit="u2")
    told(world, 4, FindingKind.OPERATIONS, "x")
    told(world, 5, FindingKind.DATA_QUALITY, "x", method="counted")
    assert findings.acknowledge(world, "1", "user:me", "", as_normal=True).accepted


@pytest.mark.parametrize("fault", quality.COUNTED)
def test_a_column_that_is_gone_is_not_normal_whether_it_was_counted_or_drift_noticed_it_first(world: World, fault: Fault) -> None:
    alarmed = told(world, 1, FindingKind.FEATURE_DRIFT, "x", method="two-sample permutation p-values")
    lost = quality.Diagnosis(fault=fault, column="x", share=1.0, words="x has no value any more")
    (retold,) = quality.retell([alarmed], [lost])
    world.record(draft(AT, "finding.raised", "finding:f-1", {}, (put("finding", "f-1", retold),)))
    told(world, 2, FindingKind.DATA_QUALITY, "z", method="counted")
    for number in ("1", "2"):
        with pytest.raises(Conflict, match="is gone, or cannot be read; mend it"):
            findings.acknowledge(world, number, "user:me", "", as_normal=True)
    (unit,) = quality.retell([alarmed], [msgspec.structs.replace(lost, fault=Fault.UNIT)])
    world.record(draft(AT, "finding.raised", "finding:f-1", {}, (put("finding", "f-1", unit),)))
    assert findings.acknowledge(world, "1", "user:me", "", as_normal=True).accepted


@pytest.mark.parametrize(
    ("kind", "subject", "figures"),
    [
        (FindingKind.PERFORMANCE, "loss", [0.3]),
        (FindingKind.ESTIMATED_PERFORMANCE, "loss", [0.4]),
        (FindingKind.CONCEPT_DRIFT, "labels", [0.3]),
        (FindingKind.PERFORMANCE, "slice far", [0.5]),
        (FindingKind.FEATURE_DRIFT, "slice far", [0.1]),
        (FindingKind.DATA_QUALITY, "loss", [0.1]),
        (FindingKind.OPERATIONS, "requests", []),
    ],
)
def test_the_figure_beside_a_finding_is_its_kinds_own_whatever_features_are_called(
    world: World, kind: FindingKind, subject: str, figures: list[float]
) -> None:
    found = told(world, 1, kind, subject)
    window = WindowSummary(
        model="shop", unit="u1", start=found.window_start, end=found.window_end, predictions=90, labels=90, mature=True,
        metrics={"brier": Evidence(name="brier", value=0.3)}, estimates={"bounded_loss": Evidence(name="bounded_loss", value=0.4)},
        slices={"far": Evidence(name="bounded_loss", value=0.5)}, drift=dict.fromkeys(("loss", "labels", "requests", "slice far"), 0.1),
    )  # fmt: skip
    world.record(draft(AT, "window.closed", "window:w", {}, (put("window", "w", window),)))
    assert [point.value for point in findings.explain(world, "1").series] == figures


def test_what_incidents_are_taken_for_is_read_once_however_many_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = Champion(model="shop", unit="u1", since=AT, release="r-0001", verified=("u1",))
    first = ReleaseState(
        id="r-0001", model="shop", challenger="u1", champion=None, phase=Phase.SETTLED, opened_at=AT, entered_at=AT, cause="user:me"
    )  # fmt: skip
    states = (put("champion", "shop", champion), put("release", first.id, first))
    world.record(draft(AT, "release.verified", f"release:{first.id}", {"phase": Phase.FULL.value}, states))
    for number in (1, 10, 20):
        told(world, number, FindingKind.FEATURE_DRIFT, f"x{number}")
    asked, every = [], world.all
    monkeypatch.setattr(world, "all", lambda kind, record: asked.append(kind) or every(kind, record))
    for look in (
        lambda: findings.rows(world, open_only=False),
        lambda: findings.incident_rows(world, open_only=False),
        lambda: diagnoses.open_incidents(world, champion),
    ):
        asked.clear()
        assert len(look()) == 3
        assert asked.count("diagnosis") == 1


def test_of_what_stands_an_unknown_harm_that_pages_comes_before_a_small_one_and_after_a_large_one(world: World) -> None:
    champion = Champion(model="shop", unit="u1", since=AT, release="r-0001")
    world.record(draft(AT, "test", "champion", {}, (put("champion", "shop", champion),)))
    harms = [
        (FindingKind.FEATURE_DRIFT, 0.0004, True), (FindingKind.OPERATIONS, None, True), (FindingKind.PERFORMANCE, 0.08, True),
        (FindingKind.DATA_QUALITY, None, True), (FindingKind.FEATURE_DRIFT, 0.3, False), (FindingKind.OPERATIONS, None, False),
        (FindingKind.CONCEPT_DRIFT, 0.2, True),
    ]  # fmt: skip
    for number, (kind, harm, pages) in enumerate(harms, start=1):
        made = msgspec.structs.replace(told(world, number, kind, f"x{number}"), harm=harm, pages=pages)
        world.record(draft(AT, "test", made.id, {}, (put("finding", made.id, made),)))
    assert [row.finding.number for row in findings.rows(world, open_only=True)] == [7, 3, 2, 4, 1, 5, 6]
    assert [row.finding.number for row in findings.rows(world, open_only=False)] == [1, 2, 3, 4, 5, 6, 7]
