"""Questions of releases and of policies: who may answer with yes, and those that nobody needs to answer any more, which are closed with what made an answer mean
nothing."""

from collections.abc import Collection
from typing import Any

import msgspec

from flyball.control import decisions
from flyball.control.world import World, draft, put
from flyball.errors import Denied
from flyball.records import codec
from flyball.records.decisions import VOID, Action, Approval, Decision
from flyball.records.events import Draft, Put
from flyball.records.permissions import SHARED_ACTORS, same
from flyball.records.release import Phase, ReleaseState
from flyball.release.question import question_of

ANOTHER = "another"
"""As `release.approval` says it."""

ASKS = frozenset({Phase.PROPOSED, Phase.SHADOW, Phase.CANARY})
"""Phases from which a release asks, and waits."""


def refuse_whoever_asked(world: World, asked: Approval, decision: Decision, actor: str, *, yes: bool) -> None:
    """Raises Denied for who asked; where two people are wanted, of a yes, also for who started the run or agreed that it starts, and for a token that
    all of a role share."""
    if asked.requested_by == actor:
        raise Denied(f"{actor} asked for this", expected="an answer by somebody else")
    action = decisions.asked_in(decision, asked)
    if not yes or action is None or decision.room != "release" or decision.policy.get("approval") != ANOTHER:
        return
    release = world.get("release", action.subject.removeprefix("release:"), ReleaseState)
    found = _part(world, release, actor) if release is not None else ""
    if not found and actor.casefold() in SHARED_ACTORS:
        found = "may be anybody who has the shared token"
    if found:
        wanted = "a person's yes, by name, who did not start the run, nor agree that it starts (release.approval: another)"
        raise Denied(f"{actor} {found}", expected=wanted, next_step="flyball token add NAME --role approver")


def _part(world: World, release: ReleaseState, actor: str) -> str:
    """What this person did for the run to start; empty: nothing."""
    if same(release.cause, actor):
        return f"started the run of {release.id}"
    # A policy that asked first was let by a person: one yes is not to count twice.
    asked = (each for each in world.all("approval", Approval) if each.decision == release.cause and each.answer == "approved")
    return f"agreed to the run of {release.id}" if any(same(each.answered_by or "", actor) for each in asked) else ""


def asked(world: World, decision: str, action: Action) -> tuple[Put, ...]:
    """The question that a release's decision puts to a person."""
    approval = Approval(
        id=decision, decision=decision, action_digest=codec.digest(action), requested_at=world.now(), requested_by="release", expires_at=None
    )  # fmt: skip
    return (put("approval", decision, approval),)


def voided(world: World, release: str, why: str) -> tuple[Draft, ...]:
    """Close what this release has asked and nobody has answered: goes into the transaction of what ends the wait."""
    return tuple(closed(world, each, why) for each, about in _open(world) if about == f"release:{release}")


def close_the_dead(world: World) -> None:
    """Those that an earlier Flyball left open when it ended or held their release."""
    left: list[Draft] = []
    for approval, about in _open(world):
        release = world.get("release", about.removeprefix("release:"), ReleaseState)
        if release is None or release.phase not in ASKS:
            left.append(closed(world, approval, f"{about.removeprefix('release:')} does not wait any more"))
    if left:
        world.record(*left)


def answer_to(world: World, release: ReleaseState, rules: str) -> Any:
    """Where a person is asked: an answer counts for the very action that was asked about, so for no other release, start or rules."""
    wanted = codec.digest(question_of(release, rules)) if rules else ""
    for approval in reversed(world.all("approval", Approval)):
        if wanted and approval.action_digest == wanted and approval.answer != VOID:
            return approval.answer or "open"
    return "none"


def _open(world: World) -> list[tuple[Approval, str]]:
    """With the subject of what was asked."""
    found = []
    for approval in world.all("approval", Approval):
        if approval.answer is None and approval.requested_by == "release":
            decision = decisions.find(world, approval.decision)
            found.append((approval, decision.plan.actions[0].subject if decision is not None else ""))
    return found


def closed(world: World, approval: Approval, why: str, puts: tuple[Put, ...] = ()) -> Draft:
    """With the key of an answer: of a person and this, whoever comes first counts. `puts`: states that change with it."""
    now, by = world.now(), approval.requested_by
    void = msgspec.structs.replace(approval, answer=VOID, answered_by=by, answered_at=now, reason=why)
    return draft(
        now, "approval.voided", f"decision:{approval.decision}", {"words": why}, (put("approval", approval.id, void), *puts),
        key=f"approval:{approval.id}", actor=by,
    )  # fmt: skip


def of_policies(world: World) -> list[tuple[Approval, Action]]:
    """Open ones of the autopilot, with what was asked about."""
    waiting = (each for each in world.all("approval", Approval) if each.answer is None and each.requested_by == "autopilot")
    found = ((each, decisions.find(world, each.decision)) for each in waiting)
    asked = ((each, decisions.asked_in(decision, each)) for each, decision in found if decision is not None)
    return [(each, action) for each, action in asked if action is not None]


def pointless(action: Action, policies: Collection[str], champion: str | None) -> str:
    """Why nothing would follow from a yes to a policy's question; empty: something may."""
    policy = str(action.arguments.get("policy", ""))
    if policy not in policies:
        return f"flyball.yaml has no policy {policy!r} any more"
    asked: dict[str, Any] = action.arguments.get("action") or {}
    said = asked.get("arguments", {})
    judged = said.get("champion") or said.get("from")
    return f"{judged} is champion no more" if judged is not None and judged != champion else ""
