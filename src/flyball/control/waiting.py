"""What waits for a person: which action, since when, and what happens if nobody answers. Reads only."""

from flyball.control import bounds, decisions
from flyball.control.reports import Waiting
from flyball.control.telling_events import action_words
from flyball.control.world import World
from flyball.records import codec
from flyball.records.decisions import Action, Approval, Decision


def waiting(world: World) -> dict[str, tuple[Waiting, ...]]:
    """Decision → its questions without an answer, and the breaker that it opened."""
    found: dict[str, tuple[Waiting, ...]] = {}
    for approval in world.all("approval", Approval):
        decision = decisions.find(world, approval.decision) if approval.answer is None else None
        action = decisions.asked_in(decision, approval) if decision is not None else None
        if decision is not None and action is not None:
            found[decision.id] = (*found.get(decision.id, ()), _question(decision, approval, action))
    breaker = bounds.open_breaker(world)
    if breaker is not None:
        told = Waiting(
            approval="", action="the breaker is open", digest="", since=breaker.opened_at, asked_by="autopilot",
            unanswered=f"no policy changes who answers; it ends with flyball breaker close ({', '.join(breaker.actions)})",
        )  # fmt: skip
        found[breaker.decision] = (*found.get(breaker.decision, ()), told)
    return found


def _question(decision: Decision, approval: Approval, action: Action) -> Waiting:
    nested = action.arguments.get("action")
    asked = codec.revive(nested, Action) if nested else action
    return Waiting(
        approval=approval.id, action=action_words(asked), digest=approval.action_digest, since=approval.requested_at,
        asked_by=approval.requested_by, unanswered=_unanswered(decision, action),
    )  # fmt: skip


def _unanswered(decision: Decision, action: Action) -> str:
    if decision.room == "release":
        return "the release stays where it is, the champion keeps its share, and no other release begins"
    policy = str(action.arguments.get("policy", ""))
    return f"nothing is done, and the policy {policy} does not act nor ask again before that"
