"""Every decision goes through here: made by a room's pure function, recorded with all that it rests on, and replayable from that alone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

import flyball.autopilot.decide as autopilot
import flyball.gates.decide as gates
import flyball.release.decide as release
from flyball import __version__
from flyball.autopilot import contest
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.decisions import Action, Approval, Decision, Plan
from flyball.records.events import Draft, Put

RULES = 5
"""Raised whenever a room decides otherwise or says it in other words from the same inputs; also between two commits of one version.
Else `flyball verify` calls every ledger of the day before damaged."""
MADE_BY = f"flyball {__version__}, rules {RULES}"

_UNREADABLE = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
"""What a record of other fields (or of no room that is left) raises, when it is converted (a ValidationError is a ValueError) or decided on."""


class Room(NamedTuple):
    """A room that decides."""

    situation: type[msgspec.Struct]
    policy: type[msgspec.Struct]
    decide: Callable[[Any, Any, datetime], Plan]


ROOMS: dict[str, Room] = {
    "autopilot": Room(autopilot.AutopilotSituation, autopilot.AutopilotPolicy, autopilot.decide),
    "gates": Room(gates.GateSituation, gates.GatePolicy, gates.decide),
    "tournament": Room(contest.ContestSituation, contest.ContestPolicy, contest.decide),
    "release": Room(release.ReleaseSituation, release.ReleasePolicy, release.decide),
}


def decide(room: str, situation: msgspec.Struct, policy: msgspec.Struct, now: datetime) -> Plan:
    """What the room's function answers. Nothing is recorded: most looks change nothing."""
    return ROOMS[room].decide(situation, policy, now)


class Recorded(NamedTuple):
    """A decision and the draft that records it, with the counter's put."""

    decision: Decision
    draft: Draft


def prepare(
    world: World, room: str, inputs: tuple[msgspec.Struct, msgspec.Struct, datetime], plan: Plan, puts: tuple[Put, ...]
) -> Recorded:
    """Number a plan and wrap it, with the states that it changes, as one draft."""
    situation, policy, now = inputs
    number, counter = world.number("decision")
    decision = Decision(
        id=f"d-{number:06d}", room=room, now=now, policy=codec.plain(policy), situation=codec.plain(situation), plan=plan, made_by=MADE_BY
    )  # fmt: skip
    return Recorded(
        decision, draft(now, "decision.made", f"decision:{decision.id}", codec.plain(decision), (counter, *puts), actor=room)
    )


def replay(decision: Decision) -> bytes:
    """The plan's canonical bytes, made anew from the recorded situation, policy and time: nothing else is read."""
    room = ROOMS[decision.room]
    situation = codec.revive(decision.situation, room.situation)
    policy = codec.revive(decision.policy, room.policy)
    return codec.encode(room.decide(situation, policy, decision.now))


def replays_equal(decision: Decision) -> bool | None:
    """Whether the recorded plan comes out again, byte for byte. None: the rules of today cannot read what it rests on, which another Flyball wrote."""
    try:
        return replay(decision) == codec.encode(decision.plan)
    except _UNREADABLE:
        return None


def maker_of(decision: Decision) -> str:
    """Of which Flyball its rules were, and which of its rules; those before they were counted say no number."""
    return decision.made_by or "an earlier Flyball"


def recorded(world: World, newest: int | None = None) -> tuple[Decision, ...]:
    """All decisions, oldest first. `newest`: no more than so many of the last; each rests on kilobytes, and there may be thousands."""
    made = world.ports.ledger.events(kinds=("decision.made",), limit=newest, newest=newest is not None)
    return tuple(codec.revive(event.payload, Decision) for event in made)


def asked_in(decision: Decision, approval: Approval) -> Action | None:
    """The action that a person was asked about: the one whose digest the approval is bound to, wherever it stands in the plan."""
    return next((action for action in decision.plan.actions if codec.digest(action) == approval.action_digest), None)


def line_of(decision: Decision, policy: str) -> str:
    """Of a rationale that says one for each policy, that policy's; all of it, where none is."""
    mine = [line for line in decision.plan.rationale.splitlines() if line.startswith(f"{policy}: ")]
    return " ".join(" ".join(mine or [decision.plan.rationale]).split())


def find(world: World, decision_id: str) -> Decision | None:
    """One decision by its id."""
    events = world.ports.ledger.events(kinds=("decision.made",), subject=f"decision:{decision_id}")
    return codec.revive(events[0].payload, Decision) if events else None


__all__ = ["ROOMS", "Recorded", "asked_in", "decide", "find", "maker_of", "prepare", "put", "recorded", "replay", "replays_equal"]
