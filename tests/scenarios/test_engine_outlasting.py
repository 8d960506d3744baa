"""What the service is belongs to the model: an anomaly of it stands until it is over or somebody has seen it, whoever is champion."""

from pathlib import Path

from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import findings, incidents
from flyball.control.standing import standing
from flyball.control.windows import SignalHistory
from flyball.records.findings import FindingKind

TELL = {"name": "tell", "when": "operations.alarm", "do": {"action": "notify", "message": "service"}}
WARM_UP = 47 * DAY


def in_an_outage(root: Path) -> Project:
    """Told, and then another version takes over while it goes on."""
    project = Project(root, spec_of(AT_ONCE, [TELL]))
    project.version()
    project.live(WARM_UP)
    project.live(10 * DAY, rows=4, until=lambda: bool(project.findings()))
    assert alarm(project)
    before = project.champion().unit
    project.version()
    project.live(DAY, rows=4)
    assert project.champion().unit != before
    return project


def alarm(project: Project) -> bool:
    return project.door.get("signals", "shop", SignalHistory).recent[-1].signals["operations.alarm"]


def test_an_outage_outlasts_the_champion_is_told_once_and_ends_with_itself(tmp_path: Path) -> None:
    project = in_an_outage(tmp_path)
    told = [each for each in project.findings() if each.kind is FindingKind.OPERATIONS]
    project.live(2 * DAY, rows=4)
    assert alarm(project)
    assert list(standing(project.door, project.champion())) == told
    (incident,) = incidents.open_now(project.door, project.champion())
    assert incidents.rows(project.door, open_only=True) == (incident,)
    assert (incident.unit, incident.standing) == (told[0].unit, (FindingKind.OPERATIONS,))
    assert [row.open for row in findings.rows(project.door, open_only=False)] == [True] * len(told)
    project.live(4 * DAY)
    assert not alarm(project)
    assert not incidents.rows(project.door, open_only=True)
    assert [each for each in project.findings() if each.kind is FindingKind.OPERATIONS] == told
    assert sum(words.startswith("service") for _, words in project.told.heard) == 1
    project.holds()


def test_an_outage_that_a_person_has_seen_stands_no_longer_beside_another_champion(tmp_path: Path) -> None:
    project = in_an_outage(tmp_path)
    for each in standing(project.door, project.champion()):
        findings.acknowledge(project.door, each.id, "user:me", "a holiday", as_normal=False)
    project.live(DAY, rows=4)
    assert not alarm(project)
    assert not incidents.open_now(project.door, project.champion())
    project.holds()
