"""What is told of decisions: which there were, what waits, and why."""

from datetime import datetime

import msgspec

from flyball.records.decisions import Approval, Decision
from flyball.records.evidence import Evidence, Verdict


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person is to answer, or to close."""

    approval: str
    """What `flyball approve` and `refuse` call it; empty: it is not answered so."""
    action: str
    """Of which the answer decides, in a few words."""
    digest: str
    """SHA-256 of that action: the answer counts for it and for no other."""
    since: datetime
    asked_by: str
    unanswered: str
    """What happens if nobody answers."""
    why: str = ""
    """What the decision that asks says for it; empty: `action` says all."""
    decision: str = ""
    release: str = ""
    """The one that asks; empty: none does."""
    who: str = ""
    """Whose yes is wanted; empty: anybody's who may answer."""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: datetime
    room: str
    rule: str
    actions: tuple[str, ...]
    """Each in a few words: `roll_back release:r-0002`."""
    rationale: str
    outcome: str
    """Of the evidence; empty when the plan rests on none."""
    open: bool
    """Waits for a person's answer."""
    waiting: tuple[Waiting, ...] = ()


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that could have acted."""

    policy: str
    action: str
    when: str
    chosen: bool
    words: str
    """What it came to, and why."""
    predicted: Evidence | None = None
    """Effect on the champion's loss as it was expected when the decision was made, relative to it, with `note` in words; None: nobody had worked one out. What was
    foretold of a unit that took effect is under `afterwards`."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision: from what, by which rule, and what became of it."""

    decision: Decision
    verdicts: tuple[Verdict, ...]
    rationale: str
    replayed_equal: bool | None
    """The room's function applied again to policy, situation and time gives the same plan, byte for byte; None: could not be replayed (`replay_note`)."""
    replay_note: str = ""
    approval: Approval | None = None
    """To its first question; None: it asked nothing."""
    questions: tuple[Waiting, ...] = ()
    """Without an answer."""
    seen: tuple[str, ...] = ()
    """What there was to be acted on, a sentence each; of the autopilot's decisions."""
    considered: tuple[Option, ...] = ()
    """Its options, in the order of flyball.yaml."""
    afterwards: tuple[str, ...] = ()
    """What happened because of it, in order, a sentence each."""
