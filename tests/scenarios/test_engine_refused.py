"""Somebody upstream changes a column's type: every request of theirs is refused by the gateway, and monitoring says why."""

from datetime import timedelta
from pathlib import Path

import msgspec
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of
from gateway_rig import ROW, SIGNATURE, Rig, onnx_model, package, table
from rich.console import Console

from flyball.cli import tell_findings
from flyball.control import decisions, diagnoses, findings, incidents, queries
from flyball.control.diagnosing import Diagnosing
from flyball.control.standing import puts_of, standing
from flyball.control.world import draft, micros
from flyball.monitoring.operations import OperationsState
from flyball.records.captured import PredictionBatch, RefusalBatch, Refused
from flyball.records.findings import Finding, FindingKind, IncidentKind
from flyball.records.jobs import Job
from flyball.records.unit import Format
from flyball.web import pages

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}
TEXT = Refused("RequestError", 422, 60, 60, "age", "type", "text", "a number")
STRAY = Refused("RequestError", 422, 2, 2, "income", "type", "true or false", "a number")


def refused_by_a_gateway(rig: Rig, root: Path) -> list[Refused]:
    """Of 60 requests with `age` as text, 2 others that are wrong, and 60 that are right."""
    rig.publish(table(1, package(root, Format.ONNX, onnx_model()[0], SIGNATURE)))
    worker = rig.start()
    for _ in range(60):
        assert worker.predict({**ROW, "age": "41.5"}).status_code == 422
        assert worker.predict(ROW).status_code == 200
    for _ in range(2):
        assert worker.predict({**ROW, "income": True}).status_code == 422
    assert worker.http.post("/models/jo@example.org/predict", json={"rows": [ROW]}).status_code == 404
    assert worker.stop() == 0
    records = rig.captured()
    assert sum(len(each.ids) for each in records if isinstance(each, PredictionBatch)) == 60
    batches = [each for each in records if isinstance(each, RefusalBatch)]
    assert all(each.model == "shop" and each.revision == 1 for each in batches)
    told: dict[tuple, Refused] = {}
    for each in (each for batch in batches for each in batch.refused):
        alike = (each.status, each.field, each.fault)
        before = told.get(alike, msgspec.structs.replace(each, requests=0, rows=0))
        told[alike] = msgspec.structs.replace(each, requests=before.requests + each.requests, rows=before.rows + each.rows)
    return [*told.values()]


def hand_over(project: Project, *refused: Refused) -> None:
    project.capture.hand_over([RefusalBatch(at_us=micros(project.clock.now()), model="shop", revision=1, refused=list(refused))])


def live(project: Project, days: int, *refused: Refused) -> None:
    """Four times a day what was answered (60 rows), and what was refused beside it."""
    for _ in range(4 * days):
        if refused:
            hand_over(project, *refused)
        project.live(6 * HOUR, rows=60)


def schema_findings(project: Project) -> list[Finding]:
    return [each for each in project.findings() if each.fault == "schema"]


def project_of(root: Path, *policies: dict[str, str]) -> Project:
    project = Project(root, spec_of(AT_ONCE, list(policies), monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(9 * DAY, rows=60)
    return project


def test_a_column_that_comes_in_another_type_is_found_pages_and_is_a_fault_of_the_data(rig: Rig, tmp_path: Path) -> None:
    text, stray = refused_by_a_gateway(rig, tmp_path / "package")
    assert (text, stray) == (TEXT, STRAY)
    project = project_of(tmp_path / "project", {"name": "learn", "when": "quality.alarm", "do": "retrain"})
    live(project, 3, stray)
    assert schema_findings(project) == []
    began, jobs = project.clock.now(), len(project.door.all("job", Job))
    live(project, 1, text, stray)
    [finding] = schema_findings(project)
    assert (finding.kind, finding.subject, finding.unit, finding.pages) == (
        FindingKind.DATA_QUALITY,
        "age",
        project.champion().unit,
        True,
    )
    words = "240 of 488 rows (49 %) were refused, since 00:00: age is text, a number is expected"
    assert finding.words == words
    assert finding.changed_since == began
    assert finding in standing(project.door, project.champion())
    live(project, 4, text, stray)
    assert schema_findings(project) == [finding], "it is told once"
    known = diagnoses.known(project.door)
    [incident] = incidents.open_now(project.door, project.champion())
    told = diagnoses.of(known, incident)
    assert told is not None
    assert told.kind is IncidentKind.DATA_FAULT, told.words
    assert len(project.door.all("job", Job)) == jobs, "nothing is trained"
    decided = [made for made in decisions.recorded(project.door) if made.room == "autopilot"]
    assert (
        f"incident {incident.number} is taken for a data fault, which is mended upstream and never trained"
        in decided[-1].plan.rationale
    )
    report = findings.explain(project.door, str(finding.number))
    assert report.series == ()
    console = Console(width=300)
    with console.capture() as captured:
        console.print(tell_findings.finding_report(report, plain=True))
        console.print(tell_findings.finding_rows(findings.rows(project.door, open_only=True), plain=True))
        console.print(tell_findings.incident_rows(findings.incident_rows(project.door, open_only=True), plain=True))
    assert captured.get().count(words) >= 3
    assert words in pages.finding(report)
    assert words in pages.overview(queries.status(project.door, controller_alive=True), (), (), ())
    project.restart()
    project.tick()
    assert schema_findings(project) == [finding]
    project.holds()


def test_an_acknowledged_one_stays_silent_while_it_lasts_and_is_told_when_it_comes_again(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, 1, TEXT)
    [finding] = schema_findings(project)
    drift = project.ledger.state("drift", finding.unit)
    findings.acknowledge(project.door, str(finding.number), "user:me", "they know", as_normal=False)
    project.tick()
    assert project.ledger.state("drift", finding.unit) == drift, "no detector of rows has to do with it"
    live(project, 3, TEXT)
    assert len(schema_findings(project)) == 1
    live(project, 2)
    live(project, 1, TEXT)
    assert len(schema_findings(project)) == 2
    project.holds()


def test_what_gateways_turn_away_is_failures_and_what_is_refused_for_its_content_is_not(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, 2, Refused("Overloaded", 429, 30, 30), TEXT)
    state = project.door.get("operations", "shop", OperationsState)
    assert state is not None
    judged = project.ledger.events(kinds=("operations.judged",))[-1].payload["usual"]
    assert judged["requests"][0] == 360.0
    assert judged["failures"][0] == 120 / 360


def test_a_service_that_has_answered_nobody_yet_says_why(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    for _ in range(9):
        hand_over(project, TEXT)
        project.clock.sleep(timedelta(hours=6))
        project.tick()
    assert len(schema_findings(project)) == 1


def test_a_release_that_takes_what_is_sent_ends_it_and_is_not_blamed(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, 2, TEXT)
    [finding] = schema_findings(project)
    before = project.champion()
    assert before is not None
    hand_over(project, TEXT)
    project.live(6 * HOUR, rows=60)
    project.version(Model(wrong=0.05, estimates=True))
    project.live(18 * HOUR, rows=180)
    after = project.champion()
    assert after is not None
    assert after.unit != before.unit
    live(project, 3)
    assert schema_findings(project) == [finding]
    assert not [each for each in standing(project.door, project.champion()) if each.fault == "schema"]
    project.holds()


def test_a_release_that_does_not_take_what_is_sent_either_is_told_once_its_own_window_is_over(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, 2, TEXT)
    hand_over(project, TEXT)
    project.live(6 * HOUR, rows=60)
    project.version(Model(wrong=0.05, estimates=True))
    live(project, 4, TEXT)
    first, second = sorted(schema_findings(project), key=lambda each: each.number)
    champion = project.champion()
    assert champion is not None
    assert (first.unit != second.unit, second.unit) == (True, champion.unit)
    assert second.window_start >= champion.since
    project.holds()


def test_beside_a_few_requests_that_are_refused_the_rows_that_are_answered_are_trained(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"name": "learn", "when": "quality.alarm", "do": "retrain"})
    few = msgspec.structs.replace(TEXT, requests=6, rows=6)
    jobs, champion = len(project.door.all("job", Job)), project.champion()
    live(project, 1, few)
    [finding] = schema_findings(project)
    assert finding.effect < 0.1
    assert len(project.door.all("job", Job)) == jobs + 1
    told = diagnoses.known(project.door)[finding.number]
    assert (told.kind, told.unit) == (IncidentKind.DATA_FAULT, champion.unit if champion else "")
    project.holds()


def test_acknowledged_requests_are_no_evidence_of_an_incident_beside_them(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, 1, TEXT)
    [refused] = schema_findings(project)
    world = project.engine.world
    other = msgspec.structs.replace(refused, id="f-x", kind=FindingKind.CONCEPT_DRIFT, subject="labels", fault="")
    world.record(draft(world.now(), "finding.raised", "finding:f-x", {}, puts_of(world, (other,)), key="f-x"))
    mine = max(each.number for each in project.findings())
    [incident] = incidents.open_now(world, project.champion())
    incident = msgspec.structs.replace(incident, number=mine, findings=(mine,))
    diagnosing = Diagnosing(world, project.engine.observation)
    assert [each.number for each in diagnosing._near(incident)[0]] == [refused.number, mine]
    findings.acknowledge(project.door, str(refused.number), "user:me", "they know", as_normal=False)
    project.tick()
    assert [each.number for each in diagnosing._near(incident)[0]] == [mine]
