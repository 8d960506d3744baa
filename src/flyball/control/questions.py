"""Questions of releases and of policies: who may answer with yes, and those that nobody needs to answer any more, which are closed with what made an answer mean
nothing."""

from typing import Any, NamedTuple

import msgspec

from flyball.autopilot import actions
from flyball.autopilot.policy import AutopilotPolicy, asks_the_same
from flyball.control import decisions, incidents, todos, waiting
from flyball.control.standing import standing
from flyball.control.world import World, draft, put
from flyball.errors import Denied
from flyball.records import codec
from flyball.records.decisions import VOID, Action, Approval, Decision
from flyball.records.events import Draft, Put
from flyball.records.permissions import SHARED_ACTORS, same
from flyball.records.release import Champion, Phase, ReleaseState
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


def opened(world: World, decision: Decision, action: Action, approval_id: str) -> tuple[Put, ...]:
    """The question that a decision puts to a person, and that they are told of it."""
    approval = Approval(
        id=approval_id, decision=decision.id, action_digest=codec.digest(action), requested_at=decision.now, requested_by=decision.room,
        expires_at=None,
    )  # fmt: skip
    told = todos.told_of_question(approval, action.subject, waiting.told(world, decision, approval, action))
    return (put("approval", approval_id, approval), *told)


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
    words = f"the question of {approval.id} is closed without an answer: {why}. Nothing is to be answered any more"
    told = todos.told_of_question(void, f"decision:{approval.decision}", words)
    return draft(
        now, "approval.voided", f"decision:{approval.decision}", {"words": why}, (put("approval", approval.id, void), *told, *puts),
        key=f"approval:{approval.id}", actor=by,
    )  # fmt: skip


class OfPolicy(NamedTuple):
    """An open question of the autopilot."""

    approval: Approval
    action: Action
    """What was asked about."""
    decision: Decision


def of_policies(world: World) -> list[OfPolicy]:
    """Open ones of the autopilot."""
    waiting = (each for each in world.all("approval", Approval) if each.answer is None and each.requested_by == "autopilot")
    found = ((each, decisions.find(world, each.decision)) for each in waiting)
    asked = ((each, decisions.asked_in(decision, each), decision) for each, decision in found if decision is not None)
    return [OfPolicy(each, action, decision) for each, action, decision in asked if action is not None]


def pointless(world: World, asked: OfPolicy, policy: AutopilotPolicy) -> str:
    """Why a yes to a policy's question would do nothing, or what nobody wants any more; empty: it is still worth an answer."""
    said = asked.action.arguments
    name = str(said.get("policy", ""))
    rule = next((each for each in policy.rules if each.name == name), None)
    if rule is None:
        return f"flyball.yaml has no policy {name!r} any more"
    # One whose policies were not recorded tells at least what is to be done.
    if actions.effect(asked.action) != rule.action or not asks_the_same(asked.decision.policy, rule, policy.autonomy):
        return f"flyball.yaml has changed policy {name!r} since"
    # The decision knows it also where an earlier Flyball left it out of the action.
    champion, judged = world.get("champion", world.model, Champion), asked.decision.situation.get("champion")
    if judged is not None and (champion is None or champion.unit != judged):
        return f"{judged} is champion no more"
    return _over(world, tuple(said.get("incidents", ())), champion)


def _over(world: World, numbers: tuple[int, ...], champion: Champion | None) -> str:
    """That all of these incidents are, whatever number they have now; empty: one is open, or it was asked about none."""
    # Every tick asks, and incidents are made of all findings anew: mostly the one that began it stands, and that is enough.
    if not numbers or any(each.number in numbers for each in standing(world, champion)):
        return ""
    if any(not {each.number, *each.findings}.isdisjoint(numbers) for each in incidents.open_now(world, champion)):
        return ""
    return f"{actions.named(numbers)} {'are' if len(numbers) > 1 else 'is'} over"
