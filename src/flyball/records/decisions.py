"""What was decided, from what, and why: replayable byte for byte."""

from datetime import datetime
from typing import Any

import msgspec

from flyball.records.evidence import Outcome, Verdict


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done. `kind` is one of the verbs of the room that planned it."""

    kind: str
    """release: `enter`, `weigh`, `ask`, `settle`, `hold` (a person), `roll_back`, `finish_rollback`; gates: `register`, `refuse`;
    autopilot: `retrain`, `improve`, `recalibrate`, `rethreshold`, `reactivate`, `roll_back`, `stop`, `notify`, `ask`, `observe`, `open_breaker`,
    `nothing`; tournament: `release`, `register`, `refuse`."""
    subject: str
    arguments: dict[str, Any] = {}

    # The digest that an approval is bound to is `codec.digest(action)`.


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a room's pure function `decide(situation, policy, now)` answers."""

    actions: tuple[Action, ...]
    rule: str
    """Name of the policy, guard or gate that carried it."""
    rationale: str
    """One or more sentences for a person: what was seen, against what, why this."""
    outcome: Outcome | None = None
    """Where the plan rests on a judgement of evidence."""
    verdicts: tuple[Verdict, ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """(room, policy, situation, now) → actions. The room's pure function applied to the first gives the second, byte for byte."""

    id: str
    """`d-` + six digits, by order in the ledger."""
    room: str
    """`gates`, `release`, `autopilot` or `tournament`: whose function decided."""
    now: datetime
    policy: dict[str, Any]
    situation: dict[str, Any]
    plan: Plan
    made_by: str = ""
    """Release of Flyball whose rules made it: those give the same bytes again; a later one may say the same in other words."""


VOID = "void"
"""The answer to a question that nobody needs to answer any more."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's yes or no, bound to one action's digest, usable once."""

    id: str
    decision: str
    action_digest: str
    requested_at: datetime
    requested_by: str
    expires_at: datetime | None
    answer: str | None = None
    """`approved`, `refused`, `void`; None: still open."""
    answered_by: str | None = None
    answered_at: datetime | None = None
    reason: str = ""
