"""What a person asks of releases: which were there, how far the open one is, what each guard has seen. Reads only."""

import flyball.release.decide as release_room
from flyball.control import decisions, traffic
from flyball.control.reports import GuardPoint, GuardRow, ReleaseReport, ReleaseRow
from flyball.control.telling_events import event_words
from flyball.control.unit_names import unit_names
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.records import codec
from flyball.records.decisions import Decision
from flyball.records.events import Event
from flyball.records.evidence import Evidence, Outcome
from flyball.records.release import TERMINAL, Drill, Phase, ReleaseLook, ReleaseState
from flyball.records.unit import Unit
from flyball.release.guards import judge
from flyball.release.metrics import METRICS
from flyball.release.policy import GuardRule, ReleasePolicy
from flyball.release.waiting import moment, place

_PROPOSED = ("release.opened",)


def rows(world: World) -> tuple[ReleaseRow, ...]:
    """Oldest first."""
    proposed = {event.subject for event in world.ports.ledger.events(kinds=_PROPOSED)}
    names = unit_names(world)
    return tuple(
        ReleaseRow(
            release=each, version=_version(world, each.challenger), champion_version=_version(world, each.champion),
            name=names.get(each.challenger, ""), champion_name=names.get(each.champion or "", ""),
            goes_back=f"release:{each.id}" not in proposed,
        )
        for each in world.all("release", ReleaseState)
    )  # fmt: skip


def report(world: World, which: str | None) -> ReleaseReport:
    """The named release; None: the open one, or the last. Raises NotFound."""
    release = _find(world, which)
    made = _decisions_of(world, release)
    policy = codec.revive(made[-1].policy, ReleasePolicy) if made else release_room.policy_of(world.spec)
    looks = _looks_of(world, release)
    drills = world.all("drill", Drill)
    goes_back = not world.ports.ledger.events(kinds=_PROPOSED, subject=f"release:{release.id}")
    asked, names = release.champion is not None and not goes_back, unit_names(world)
    return ReleaseReport(
        release=release, version=_version(world, release.challenger), champion_version=_version(world, release.champion),
        name=names.get(release.challenger, ""), champion_name=names.get(release.champion or "", ""),
        place=_place(world, release, policy), words=_words(release, looks, made), alpha=policy.alpha,
        guards=tuple(_guard(rule, release_room.passes(release, policy), looks) for rule in policy.guards) if asked else (),
        goes_back=goes_back, history=_history(world, release), drill=drills[-1] if drills else None,
    )  # fmt: skip


_LONGEST = 12
"""Digits of a release's number; thousands of them are no number that Python would read."""


def _find(world: World, which: str | None) -> ReleaseState:
    every = world.all("release", ReleaseState)
    if which is not None:
        wanted = f"r-{int(which):04d}" if which.isdecimal() and len(which) <= _LONGEST else which
        for release in every:
            if release.id == wanted:
                return release
        raise NotFound(f"there is no release {which[:40]!r}", next_step="flyball release list")
    if not every:
        raise NotFound("nothing was released yet", next_step="flyball run, then flyball up")
    return next((release for release in every if release.phase not in TERMINAL), every[-1])


def _version(world: World, unit_id: str | None) -> int | None:
    unit = world.get("unit", unit_id, Unit) if unit_id else None
    return unit.version if unit else None


def _decisions_of(world: World, release: ReleaseState) -> list[Decision]:
    subject = f"release:{release.id}"
    return [
        made
        for made in decisions.recorded(world)
        if made.room == "release" and any(action.subject == subject for action in made.plan.actions)
    ]


def _looks_of(world: World, release: ReleaseState) -> list[ReleaseLook]:
    events = world.ports.ledger.events(kinds=("release.looked",), subject=f"release:{release.id}")
    return [codec.revive(event.payload, ReleaseLook) for event in events]


def _place(world: World, release: ReleaseState, policy: ReleasePolicy) -> str:
    """With the share that gateways are told: flyball.yaml may say another one since the last decision."""
    if release.phase is not Phase.CANARY:
        return place(release)
    table = traffic.wanted(world)
    weight = table.routes[0].canary_weight if table is not None and table.routes else 0.0
    return f"canary step {release.step + 1} of {len(policy.steps)}, {weight:.0%} of the keys"


def _words(release: ReleaseState, looks: list[ReleaseLook], made: list[Decision]) -> str:
    if release.phase in TERMINAL or release.phase is Phase.HELD or not (looks or made):
        return release.reason
    if looks and looks[-1].at >= release.entered_at:
        # Looks in which nothing was new are not kept: the moment that it waits for may have passed since.
        return f"{looks[-1].words} (As of {moment(looks[-1].at)}.)"
    if release.phase is Phase.ROLLING_BACK:
        return release.reason  # a person's order is no decision, and the last one was about going on
    return made[-1].plan.rationale if made else release.reason


def _guard(rule: GuardRule, passed: tuple[str, ...], looks: list[ReleaseLook]) -> GuardRow:
    found = [(look, evidence) for look in looks for evidence in look.evidence if evidence.name == rule.name]
    last: Evidence | None = found[-1][1] if found else None
    verdict = judge((last,), rule) if last is not None else None
    outcome = verdict.outcome.value if verdict else ""
    if rule.name in passed and verdict is not None and verdict.outcome is not Outcome.FAIL:
        outcome = "passed"
    points = tuple(GuardPoint(at=look.at, n=each.n, value=each.value, lower=each.lower, upper=each.upper) for look, each in found)
    return GuardRow(
        name=rule.name, means=METRICS[rule.metric].means, margin=rule.margin, alpha=rule.alpha, must=rule.must, outcome=outcome, evidence=last,
        words=verdict.words if verdict else "not looked at yet", points=points,
    )  # fmt: skip


_MOVES = (
    "release.opened",
    "release.moved",
    "release.replayed",
    "release.verified",
    "release.paused",
    "release.dated",
    "release.divided",
    "decision.made",
)


def _history(world: World, release: ReleaseState) -> tuple[str, ...]:
    subject = f"release:{release.id}"
    return tuple(_told(event) for event in world.ports.ledger.events(kinds=_MOVES) if _is_of(event, subject))


def _is_of(event: Event, subject: str) -> bool:
    if event.kind != "decision.made":
        return event.subject == subject
    return any(action["subject"] == subject for action in event.payload["plan"]["actions"])


def _told(event: Event) -> str:
    if event.kind == "decision.made":
        return f"{event.at:%Y-%m-%d %H:%M} {event.payload['id']}: {event.payload['plan']['rationale']}"
    return event_words(event)
