"""What a replay found and decided is listed by the commands that list the project's own, and its numbers stay its own."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run as process
from typing import Any

import pytest
from small_project import YAML

from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.replay_children import write_order
from flyball.control.world import put
from flyball.records.events import Draft
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.spec.load import parse_project
from flyball.wiring.replay_policies import POLICIES, STATE
from flyball.wiring.workspace import open_workspace

AT = datetime(2026, 1, 9, tzinfo=UTC)


def lived(directory: Path, *subjects: str) -> None:
    """A ledger in which these were found, oldest first."""
    directory.mkdir(parents=True)
    champion = Champion(model="returns", unit="u1", since=AT, release="r-0001")
    release = ReleaseState(
        id="r-0001", model="returns", challenger="u1", champion=None, phase=Phase.SETTLED, opened_at=AT, entered_at=AT, cause="user:me"
    )  # fmt: skip
    puts = [put("champion", "returns", champion), put("release", release.id, release)]
    for number, subject in enumerate(subjects, start=1):
        found = Finding(
            id=f"f-{number}", number=number, kind=FindingKind.FEATURE_DRIFT, model="returns", unit="u1", subject=subject,
            window_start=AT, window_end=AT + timedelta(days=number), effect=0.1, effect_unit="", evidence=Evidence(name="e", value=1.0),
            share_of_budget=0.1, words=f"{subject} moved",
        )  # fmt: skip
        puts.append(put("finding", found.id, found))
    SqliteLedger(directory).transact([
        Draft(
            at=AT, kind="release.verified", subject="release:r-0001", actor="control", payload={"phase": Phase.FULL.value}, puts=tuple(puts),
            key=None,
        )
    ])  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flyball.yaml").write_text(YAML)
    open_workspace(tmp_path).status()
    return tmp_path


def flyball(directory: Path, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "flyball", *arguments]
    done = process(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def listed(directory: Path, *arguments: str) -> Any:
    status, words = flyball(directory, *arguments, "--json")
    assert status == 0, words
    return json.loads(words)


def test_findings_and_incidents_of_the_last_replay_are_listed_with_the_steps_that_lead_to_them(project: Path) -> None:
    lived(project / ".flyball" / "replay", "hour", "day")
    assert listed(project, "findings") == []
    assert [row["finding"]["subject"] for row in listed(project, "findings", "--replayed")] == ["hour", "day"]
    assert [row["finding"]["subject"] for row in listed(project, "findings", "--open", "--replayed")] == ["hour", "day"]
    assert [row["incident"]["findings"] for row in listed(project, "incidents", "--replayed")] == [[1, 2]]
    assert listed(project, "decisions", "--replayed") == []
    for command in ("findings", "incidents"):
        status, words = flyball(project, command, "--replayed")
        assert (status, words.splitlines()[-1]) == (0, "Next: flyball explain --replayed finding N")
    status, words = flyball(project, "explain", "--replayed", "finding", "1")
    assert status == 0
    assert "flyball acknowledge" not in words


def test_who_asks_for_what_a_replay_did_not_find_is_told_what_lists_it(project: Path) -> None:
    lived(project / ".flyball" / "replay", "hour")
    status, words = flyball(project, "explain", "--replayed", "finding", "999")
    assert status == 2
    assert words.endswith("Next: flyball findings --replayed lists them.\n")
    status, words = flyball(project, "explain", "--replayed", "d-000009")
    assert words.endswith("Next: flyball decisions --replayed lists them.\n")
    status, words = flyball(project, "explain", "finding", "1")
    assert words.endswith("Next: flyball findings lists them.\n")


def test_those_of_a_policy_are_its_own(project: Path) -> None:
    place = project / ".flyball" / "replays" / POLICIES / "once a month"
    lived(place / STATE, "hour")
    write_order(place, {"spec": json.loads(parse_project(YAML).model_dump_json(by_alias=True))})
    assert [row["finding"]["subject"] for row in listed(project, "findings", "--policy", "once a month")] == ["hour"]
    status, words = flyball(project, "findings", "--replayed", "--policy", "once a month")
    assert words.splitlines()[-1] == "Next: flyball explain --replayed --policy 'once a month' finding N"
    status, words = flyball(project, "explain", "--policy", "once a month", "finding", "7")
    assert words.endswith("Next: flyball findings --replayed --policy 'once a month' lists them.\n")
    status, words = flyball(project, "findings", "--replayed")
    assert status == 2
    assert "nothing was replayed here yet" in words
