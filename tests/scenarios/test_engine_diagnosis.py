"""Which kind of incident it is, as the engine tells it: recorded once for what it says, seen by policies, and made again from its record."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, Project, spec_of
from rich.console import Console

from flyball.autopilot import diagnosis
from flyball.autopilot.case import Case
from flyball.cli import tell_findings, tell_status
from flyball.control import diagnoses, diagnosing, findings, incidents, queries
from flyball.control.effects import COST
from flyball.control.standing import puts_of
from flyball.control.world import draft, put
from flyball.records import codec
from flyball.records.diagnosis import Diagnosis
from flyball.records.effects import Effect
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, IncidentKind
from flyball.web import pages

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


def project_of(root: Path, *policies: dict, **more: object) -> Project:
    project = Project(root, spec_of(AT_ONCE, list(policies), monitor=MONITOR | more))
    project.version(Model(estimates=True))
    project.live(9 * DAY, rows=100)
    return project


def told(project: Project, *, days: int = 8) -> Diagnosis:
    """Of the incident that began since, after some windows of it."""
    project.live(days * DAY, rows=100)
    known = diagnoses.known(project.door)
    found = [diagnoses.of(known, each) for each in incidents.open_now(project.door, project.champion())]
    assert len(found) == 1, [each.words for each in project.findings()]
    assert found[0] is not None
    return found[0]


def test_labels_that_turned_are_a_concept_shift_and_dated(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    began = project.clock.now()
    project.turned = 0.5
    found = told(project)
    assert found.kind is IncidentKind.CONCEPT_SHIFT, found.words
    assert found.score > 0.7
    assert found.since is not None
    assert abs(found.since - began) <= 2 * DAY
    assert "; against a label shift: " in found.words
    rivals = {each.kind: each for each in found.hypotheses}
    assert "no feature moved that matters to the model" in rivals[IncidentKind.COVARIATE_SHIFT].speaks_against
    project.holds()


def test_a_diagnosis_is_recorded_when_it_changes_and_comes_again_from_its_record(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.turned = 0.5
    told(project)
    made = project.ledger.events(kinds=("incident.diagnosed",))
    assert 1 <= len(made) <= 4
    case = codec.revive(made[-1].payload["case"], Case)
    assert 1 <= case.estimates_judged <= 8, "windows since it began, not the nine before it"
    assert case.estimates_missed >= case.estimates_judged - 1
    for event in made:
        again = diagnosis.diagnose(codec.revive(event.payload["case"], Case), event.at)
        assert codec.encode(again) == codec.encode(codec.revive(event.payload["diagnosis"], Diagnosis))
    for _ in range(3):
        project.restart()
        project.tick()
    assert project.ledger.events(kinds=("incident.diagnosed",)) == made


def test_a_policy_acts_once_for_what_an_incident_is_taken_for(tmp_path: Path) -> None:
    tell = {"name": "tell", "when": "incident.concept_shift", "do": {"action": "notify", "message": "labels changed"}}
    project = project_of(tmp_path, tell)
    assert not project.told.heard
    project.turned = 0.5
    told(project)
    assert [words.partition(";")[0] for _, words in project.told.heard] == ["labels changed"]
    project.holds()


def test_people_see_it_in_one_look_at_the_terminal_and_on_the_pages(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.turned = 0.5
    found = told(project)
    sentence = f"Incident {found.incident}: concept shift ("
    report = findings.explain(project.door, str(found.incident))
    assert report.diagnosis == found
    console = Console(width=300)
    with console.capture() as captured:
        console.print(tell_findings.finding_report(report, plain=True))
        console.print(tell_findings.finding_rows(findings.rows(project.door, open_only=True), plain=True))
        console.print(tell_findings.incident_rows(findings.incident_rows(project.door, open_only=True), plain=True))
        console.print(tell_status.status_report(queries.status(project.door, controller_alive=True), plain=True))
    assert captured.get().count(sentence) == 4
    assert "no feature moved that matters to the model" in captured.get()
    assert sentence in pages.finding(report)
    assert sentence in pages.overview(queries.status(project.door, controller_alive=True), (), (), ())


def test_a_unit_that_changed_is_a_data_fault_whatever_labels_say(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.factor = 1000.0
    found = told(project)
    assert found.kind is IncidentKind.DATA_FAULT, found.words
    assert found.features == ("x",)
    assert "finding" in found.words
    project.holds()


def test_a_fault_that_does_the_model_no_harm_does_not_say_what_made_its_answers_worse(tmp_path: Path) -> None:
    """A frozen column that the model ignores, at the time when the loss rose: it made a data fault of it, and nothing was trained."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    unit, world, now = project.version(), project.engine.world, project.clock.now()
    worse, frozen, harmful = (
        Finding(
            id=f"f-{subject}", kind=kind, model="shop", unit=unit, subject=subject, window_start=now, window_end=now + DAY, effect=0.1,
            effect_unit="", evidence=Evidence(name="e", value=1.0), share_of_budget=0.1, words=f"{subject} moved", fault=fault, pages=pages,
        )
        for subject, kind, fault, pages in (
            ("loss", FindingKind.PERFORMANCE, "", True), ("y", FindingKind.DATA_QUALITY, "frozen", False),
            ("x", FindingKind.DATA_QUALITY, "frozen", True),
        )
    )  # fmt: skip
    world.record(draft(now, "finding.raised", "finding:f", {}, puts_of(world, (worse, frozen))))
    project.clock.sleep(DAY)
    looks, champion = project.engine.windows._diagnosing, project.champion()
    [incident] = incidents.open_now(world, champion)
    case = looks._case(incident, champion)
    assert [each.subject for each in case.symptoms] == ["loss"]
    assert any(each.subject == "finding 2" for each in case.upstream), "it is told beside, as what happened then"
    found = diagnosis.diagnose(msgspec.structs.replace(case, columns_watched=True), project.clock.now())
    assert found.kind is not IncidentKind.DATA_FAULT
    [of] = [each for each in found.hypotheses if each.kind is IncidentKind.DATA_FAULT]
    assert of.speaks_against[0] == "what is wrong with y does the model no harm"
    world.record(draft(now, "finding.raised", "finding:g", {}, puts_of(world, (harmful,))))
    case = looks._case(msgspec.structs.replace(incident, findings=(1,)), champion)
    assert [each.subject for each in case.symptoms] == ["loss", "x"]
    assert diagnosis.diagnose(case, project.clock.now()).kind is IncidentKind.DATA_FAULT


def test_an_incident_that_cannot_be_diagnosed_keeps_no_later_one_from_it_and_is_tried_ever_more_seldom(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    unit, world, looks = project.version(), project.engine.world, project.engine.windows._diagnosing
    now = project.clock.now()
    found = [
        Finding(
            id=f"f-{days}", kind=FindingKind.FEATURE_DRIFT, model="shop", unit=unit, subject=f"x{days}", window_start=now + days * DAY,
            window_end=now + (days + 1) * DAY, effect=0.1, effect_unit="", evidence=Evidence(name="e", value=1.0), share_of_budget=0.1,
            words="",
        )
        for days in (1, 10, 20)
    ]  # fmt: skip
    world.record(draft(now, "finding.raised", "finding:f", {}, puts_of(world, found)))
    project.clock.sleep(30 * DAY)
    files = project.engine.observation.files
    read, asked = files.types, list[str]()

    def types(of: str) -> Mapping[str, str]:
        asked.append(of)
        if len(asked) == 1 or len(asked) > 3:
            raise KeyError("x")
        return read(of)

    files.types = types  # type: ignore[method-assign]
    for _ in range(60):
        with pytest.raises(KeyError):
            looks.look(project.champion())
        project.clock.sleep(timedelta(seconds=1))
    assert sorted(diagnoses.known(project.door)) == [2, 3]
    assert len(asked) == 3 + 5, "the others are gathered once"
    files.types = read  # type: ignore[method-assign]
    project.clock.sleep(timedelta(minutes=1))
    looks.look(project.champion())
    assert sorted(diagnoses.known(project.door)) == [1, 2, 3]


def test_a_release_that_was_measured_to_better_the_loss_is_not_blamed_for_the_next_change(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    champion, world = project.champion(), project.engine.world
    gain = Evidence(name="loss", value=-0.2, lower=-0.25, upper=-0.15, n=900)
    effect = Effect(
        release=champion.release, decision="d-000001", action="recalibrate", new=champion.unit, old="u0", at=champion.since,
        predicted=gain, realised=gain,
    )  # fmt: skip
    world.record(draft(project.clock.now(), "effect.realised", "effect:r", {}, (put("effect", champion.release, effect),)))
    project.turned = 0.5
    rivals = {each.kind: each for each in told(project).hypotheses}
    words = "on 900 rows that both answered the loss of this champion is 0.2000 a row less than that of the unit before"
    assert words in rivals[IncidentKind.BAD_RELEASE].speaks_against
    of_a_threshold = msgspec.structs.replace(effect, realised=msgspec.structs.replace(gain, name=COST))
    assert "the cost of wrong answers of this champion is 0.2000 a row less" in diagnosing._brought(of_a_threshold, champion.unit)
    project.holds()
