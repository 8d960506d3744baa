"""What waits for a person: which action, since when, and what happens if nobody answers. Reads only."""

from flyball.control import bounds, decisions
from flyball.control.decision_reports import Waiting
from flyball.control.telling_events import action_words
from flyball.control.world import World
from flyball.records import codec
from flyball.records.decisions import Action, Approval, Decision
from flyball.records.release import ReleaseState
from flyball.records.unit import Unit
from flyball.release.waiting import whoever_agrees


def waiting(world: World) -> dict[str, tuple[Waiting, ...]]:
    """Decision → its questions without an answer, and the breaker that it opened."""
    found: dict[str, tuple[Waiting, ...]] = {}
    for approval in world.all("approval", Approval):
        decision = decisions.find(world, approval.decision) if approval.answer is None else None
        action = decisions.asked_in(decision, approval) if decision is not None else None
        if decision is not None and action is not None:
            found[decision.id] = (*found.get(decision.id, ()), _question(world, decision, approval, action))
    breaker = bounds.open_breaker(world)
    if breaker is not None:
        told = Waiting(
            approval="", action="the breaker is open", digest="", since=breaker.opened_at, asked_by="autopilot", decision=breaker.decision,
            unanswered=f"no policy changes who answers (it opened for {', '.join(breaker.actions)})",
        )  # fmt: skip
        found[breaker.decision] = (*found.get(breaker.decision, ()), told)
    return found


def _question(world: World, decision: Decision, approval: Approval, action: Action) -> Waiting:
    nested = action.arguments.get("action")
    asked = codec.revive(nested, Action) if nested else action
    release = action.subject.removeprefix("release:") if decision.room == "release" else ""
    return Waiting(
        approval=approval.id, action=_all_traffic(world, release, action) if release else action_words(asked), digest=approval.action_digest,
        since=approval.requested_at, asked_by=approval.requested_by, unanswered=_unanswered(decision, action), why=decision.plan.rationale,
        decision=decision.id, release=release, who=_who(world, decision, release),
    )  # fmt: skip


TOKEN_OF_THEIR_OWN = "flyball token add NAME --role approver"
"""What gives another person a name to answer by."""
LONGEST_TOLD = 400
"""Characters of a rationale in a notification."""


def told(world: World, decision: Decision, approval: Approval, action: Action) -> str:
    """As a notification: what is asked, why, what comes of silence, and how it is answered."""
    asked = _question(world, decision, approval, action)
    why = decisions.line_of(decision, str(action.arguments.get("policy", "")))
    why = why if len(why) <= LONGEST_TOLD else f"{why[:LONGEST_TOLD]}…"
    token = f" ({TOKEN_OF_THEIR_OWN} gives them a name)" if asked.who else ""
    return (
        f"{approval.id} waits for {asked.who or 'a person'}: {asked.action}. {why} If nobody answers, {asked.unanswered}. "
        f"Next: flyball approve {approval.id} --digest {asked.digest[:12]}, or flyball refuse {approval.id}{token}"
    )


def _who(world: World, decision: Decision, release: str) -> str:
    """Whose yes is wanted, where it is not anybody's who may answer."""
    known = world.get("release", release, ReleaseState) if release else None
    if known is None or decision.policy.get("approval") != "another":
        return ""
    return whoever_agrees(known, another=True)


def _all_traffic(world: World, release: str, action: Action) -> str:
    """The only thing that a release asks about."""
    unit = str(action.arguments.get("unit", ""))
    known = world.get("unit", unit, Unit)
    return f"{f'version {known.version} ({unit})' if known is not None else unit} takes all traffic, in release {release}"


def _unanswered(decision: Decision, action: Action) -> str:
    if decision.room == "release":
        return "the release stays where it is, the champion keeps its share, and no other release begins"
    policy = str(action.arguments.get("policy", ""))
    return f"nothing is done, and the policy {policy} does not act nor ask again before that"
