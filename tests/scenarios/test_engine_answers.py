"""A person's answer: to the action that was asked about, once, by somebody other than who asked; at the terminal and over HTTP."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from engine_world import AT_ONCE, DAY, Project, spec_of
from rich.console import Console
from typer.testing import CliRunner, Result

from flyball.adapters.ended_sessions import EndedSessions
from flyball.cli import doors, tell_decisions
from flyball.cli.app import app as terminal
from flyball.cli.session import Session
from flyball.control import explaining, ordering, queries
from flyball.control.decision_reports import DecisionRow, Explanation
from flyball.control.reports import CommandReport, StatusReport
from flyball.control.world import put
from flyball.records import codec
from flyball.records.decisions import Approval
from flyball.records.events import Draft
from flyball.records.jobs import Job
from flyball.records.permissions import Holder, Role
from flyball.web.app import app as pages

OLD = {"name": "old", "when": "champion.age_days >= 1", "do": "retrain", "needs": "approval", "cooldown": "30d"}


class Desk:
    """The real use cases on a project in memory."""

    def __init__(self, project: Project) -> None:
        self.clock = project.clock
        self.sessions = EndedSessions(None)
        self._project = project

    def status(self) -> StatusReport:
        return queries.status(self._project.door, controller_alive=True)

    def decisions(self, open_only: bool) -> tuple[DecisionRow, ...]:
        return queries.decision_rows(self._project.door, open_only=open_only)

    def explain(self, decision_id: str) -> Explanation:
        return explaining.explain(self._project.door, decision_id)

    def approve(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport:
        return ordering.answer(self._project.door, decision_id, yes=True, actor=actor, reason=reason, digest=digest)

    def refuse(self, decision_id: str, actor: str, reason: str, digest: str | None = None) -> CommandReport:
        return ordering.answer(self._project.door, decision_id, yes=False, actor=actor, reason=reason, digest=digest)

    def tokens(self) -> Mapping[str, Holder]:
        return {"owner-token": Holder(Role.OWNER), "viewer-token": Holder(Role.VIEWER)}


def asking(root: Path) -> tuple[Project, Approval]:
    project = Project(root, spec_of(AT_ONCE, [OLD]))
    project.version()
    project.live(6 * DAY, until=lambda: bool(project.approvals()))
    return project, project.approvals()[-1]


def typed(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(terminal, [*arguments], obj=Session(opener=lambda _directory: Desk(project)))


def posted(project: Project, decision: str, body: dict[str, Any], token: str = "owner-token") -> httpx.Response:  # noqa: S107 - of this test
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(pages(Desk(project)), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8401") as client:
            return await client.post(f"/api/approvals/{decision}", json=body, headers={"authorization": f"Bearer {token}"})

    return asyncio.run(send())


def test_what_waits_is_told_with_its_digest_since_when_and_what_happens_without_an_answer(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    (row,) = queries.decision_rows(project.door, open_only=True)
    (waiting,) = row.waiting
    assert (waiting.approval, waiting.digest, waiting.since, waiting.asked_by) == (
        asked.id,
        asked.action_digest,
        asked.requested_at,
        "autopilot",
    )
    assert waiting.action == "retrain model:shop"
    assert waiting.unanswered == "nothing is done, and the policy old does not act nor ask again before that"
    told = typed(project, "decisions", "--open").stdout
    assert f"flyball approve {asked.id} --digest {asked.action_digest[:12]}" in told
    project.live(8 * DAY)
    assert len(project.door.all("job", Job)) == 1, "what is told is so: nobody answered, and nothing was done"
    assert len(project.approvals()) == 1


def test_a_second_question_of_a_decision_is_asked_under_its_own_id(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    second = msgspec.structs.replace(asked, id=f"{asked.decision}.1")
    project.ledger.transact(
        [Draft(at=project.clock.now(), kind="test", subject="x", actor="test", puts=(put("approval", second.id, second),))]
    )
    assert [each.approval for each in queries.status(project.door, controller_alive=True).questions] == [asked.id, second.id]
    told = typed(project, "status").stdout
    for each in (asked, second):
        assert f"{each.id} waits for you since" in told
        assert "retrain model:shop. If nobody answers, nothing is done" in told
        assert f"flyball approve {each.id} --digest {asked.action_digest[:12]}" in told
    assert f"then flyball approve {asked.id} or flyball refuse {asked.id}." in told
    assert typed(project, "approve", asked.id).exit_code == 0
    told = typed(project, "status").stdout
    assert f"flyball explain {asked.decision}, then flyball approve {second.id} or flyball refuse {second.id}." in told
    explained = typed(project, "explain", asked.decision).stdout
    assert f"{second.id} waits for you since" in explained
    assert f"flyball approve {second.id}" in explained
    wrong = typed(project, "approve", second.id, "--digest", "0" * 12)
    assert wrong.output.split()[-1] == f"{asked.decision}."  # what explains it
    answered = json.loads(typed(project, "approve", second.id, "--json").stdout)
    assert answered["words"].startswith(f"{second.id} is approved by")
    assert answered["subject"] == f"decision:{asked.decision}"
    assert typed(project, *answered["next_step"].split()[1:]).exit_code == 0


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 12, "abc", "of-that"])
def test_another_actions_digest_answers_nothing_at_the_terminal_and_over_http(tmp_path: Path, digest: str) -> None:
    project, asked = asking(tmp_path)
    for answer in ("approve", "refuse"):
        result = typed(project, answer, asked.id, "--digest", digest, "--json")
        assert result.exit_code != 0
        assert asked.action_digest[:12] in result.output
        refused = posted(project, asked.id, {"answer": answer, "digest": digest})
        assert refused.status_code == 409
        assert asked.action_digest[:12] in refused.json()["detail"]
    project.tick()
    assert project.approvals()[-1].answer is None
    assert len(project.door.all("job", Job)) == 1


def test_the_right_digest_or_its_beginning_is_answered_once(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    assert typed(project, "approve", asked.id, "--digest", asked.action_digest[:12], "--reason", "seen").exit_code == 0
    for answer in ("approve", "refuse"):
        again = typed(project, answer, asked.id, "--digest", asked.action_digest)
        assert again.exit_code != 0
        assert "was approved by" in again.output
        refused = posted(project, asked.id, {"answer": answer})
        assert (refused.status_code, "was approved by" in refused.json()["detail"]) == (409, True)
    project.tick()
    assert [job.cause for job in project.door.all("job", Job)] == ["user:me", asked.decision]
    project.holds()


def test_over_http_the_right_digest_is_answered_once_too(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    assert posted(project, asked.id, {"answer": "refuse", "digest": asked.action_digest, "reason": "no"}).status_code == 200
    assert typed(project, "approve", asked.id).exit_code != 0
    assert project.approvals()[-1].answer == "refused"


def test_who_asked_does_not_answer_at_the_terminal_nor_over_http(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    for actor, answer in ((doors.actor(), "terminal"), ("user:owner", "http")):
        mine = msgspec.structs.replace(asked, requested_by=actor)
        project.ledger.transact(
            [Draft(at=project.clock.now(), kind="test", subject="x", actor="test", puts=(put("approval", asked.id, mine),))]
        )
        if answer == "terminal":
            result = typed(project, "approve", asked.id)
            assert result.exit_code != 0
            assert "asked for this" in result.output
        else:
            refused = posted(project, asked.id, {"answer": "approve"})
            assert (refused.status_code, "asked for this" in refused.json()["detail"]) == (403, True)
    assert project.approvals()[-1].answer is None


def test_nobody_answers_what_was_not_asked_or_does_not_exist_or_without_the_right(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    assert typed(project, "approve", "d-999999").exit_code != 0
    assert typed(project, "approve", "d-000001").exit_code != 0
    assert posted(project, "d-999999", {"answer": "approve"}).status_code == 404
    assert posted(project, "d-000001", {"answer": "approve"}).status_code == 409
    assert posted(project, asked.id, {"answer": "perhaps"}).status_code == 422
    assert posted(project, asked.id, {"answer": "approve"}, "viewer-token").status_code == 403
    assert posted(project, asked.id, {"answer": "approve"}, "no-token").status_code == 401
    assert project.approvals()[-1].answer is None


def test_an_approval_whose_digest_is_of_another_action_is_good_for_nothing(tmp_path: Path) -> None:
    project, asked = asking(tmp_path)
    other = msgspec.structs.replace(asked, action_digest=codec.digest("another action"))
    project.ledger.transact(
        [Draft(at=project.clock.now(), kind="test", subject="x", actor="test", puts=(put("approval", asked.id, other),))]
    )
    assert typed(project, "approve", asked.id).exit_code != 0
    assert posted(project, asked.id, {"answer": "approve"}).status_code == 409


def test_a_decision_is_explained_from_what_was_seen_to_what_it_brought(tmp_path: Path) -> None:
    tell = {"name": "tell", "when": "concept.alarm", "do": "notify"}
    slow = {"name": "slow", "when": "window.predictions > 0", "for": 30, "do": "notify"}
    project = Project(tmp_path, spec_of(AT_ONCE, [tell, OLD, slow]))
    project.version()
    project.live(6 * DAY, until=lambda: bool(project.approvals()))
    asked = project.approvals()[-1]
    report = explaining.explain(project.door, asked.decision)
    assert report.replayed_equal
    assert any("champion.age_days is" in line for line in report.seen)
    words = {each.policy: each.words for each in report.considered}
    assert words["tell"] == "its condition does not hold"
    assert words["old"] == "a person is asked"
    assert words["slow"].endswith("of the 30 windows that it must")
    assert [each.policy for each in report.considered if each.chosen] == ["old"]
    (told,) = report.afterwards
    assert told.endswith("a person was told of the question")
    ordering.answer(project.door, asked.id, yes=True, actor="user:me", reason="go on")
    project.live(4 * DAY)
    after = explaining.explain(project.door, asked.decision).afterwards
    steps = [
        "approved",
        "job j-0002 was asked for",
        "(gates)",
        "j-0002 finished",
        "release:r-0002 opened",
        "full",
        "took effect",
        "is settled",
    ]
    places = [next(place for place, line in enumerate(after) if step in line) for step in steps]
    assert places == sorted(places), after
    console = Console(width=200)
    with console.capture() as captured:
        console.print(tell_decisions.explanation(explaining.explain(project.door, asked.decision), plain=True))
    assert "What was considered" in captured.get()
    assert json.loads(typed(project, "explain", asked.decision, "--json").stdout)["considered"][1]["chosen"] is True


@pytest.mark.parametrize("how", ["typed", "posted"])
def test_a_digest_that_is_given_and_empty_answers_nothing_and_letters_may_be_of_any_case(tmp_path: Path, how: str) -> None:
    """As of a script whose variable was not set."""
    project, asked = asking(tmp_path)
    if how == "typed":
        assert typed(project, "approve", asked.id, "--digest", "").exit_code != 0
    else:
        assert posted(project, asked.id, {"answer": "approve", "digest": ""}).status_code == 409
    assert project.approvals()[-1].answer is None
    assert typed(project, "approve", asked.id, "--digest", asked.action_digest[:12].upper()).exit_code == 0
    assert project.approvals()[-1].answer == "approved"
