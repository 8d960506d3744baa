"""Whether a release may be opened, and what is told then: what gives way to a newer version, what no route can hold beside the champion, what is refused
once the release has settled."""

from contextlib import suppress
from datetime import datetime, timedelta

import flyball.release.decide as release_room
from flyball.control import jobs
from flyball.control.standing import puts_of
from flyball.control.traffic import stop_of
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft
from flyball.errors import ArtifactDamaged, NotFound, TrackingFailed
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.jobs import Job
from flyball.records.release import TERMINAL, Champion, Phase, ReleaseState
from flyball.records.signature import Clash, clash, narrower
from flyball.records.words import listed
from flyball.release.waiting import moment, place
from flyball.spec.fields import format_duration

_WAITS = frozenset({Phase.PROPOSED, Phase.FULL})
"""Phases of a first release in which it may have met no gateway. One that a person holds is theirs."""


def gives_way(world: World, active: ReleaseState, unit: str) -> bool:
    """A first release that no gateway serves, to another unit: whoever registered that one before anything was up means it, and not the draft."""
    first = active.champion is None and world.get("champion", world.model, Champion) is None
    if not first or active.challenger == unit or active.phase not in _WAITS:
        return False
    if active.phase is Phase.PROPOSED:
        return True
    # One that is not heard may have taken it.
    reports = world.ports.gateways.observe()
    return active.verified_at is None and all(each.answers and active.challenger not in each.fingerprints for each in reports)


def may_be_followed(world: World, active: ReleaseState, looked: datetime | None, *, by_person: bool) -> bool:
    """One that only watches, by a newer one: once all that it must pass has passed, since labels may come while it is watched already, and, but for a person
    who made the newer one and means it, harm has had its time to show, since with another challenger its old unit is warm no more. A first one has nobody to
    go back to, so its watch can do nothing. `looked`: when a look did not settle it; None: none was seen yet."""
    if active.phase is not Phase.WATCHING:
        return False
    if active.champion is None:
        return True
    over = looked is not None and looked >= _watched_until(world, active)
    return (over or by_person) and _is_proven(world, active)


def is_of_person(world: World, job: str) -> bool:
    """Whether a person asked for the run."""
    asked = world.get("job", job, Job)
    return asked is not None and asked.cause.startswith(jobs.PERSONS)


def followed(world: World, active: ReleaseState, job: str) -> str:
    """Why it is settled, for the result of `job`."""
    asked = world.get("job", job, Job)
    if asked is None or world.now() >= _watched_until(world, active):
        return "superseded by a newer release"
    watched = format_duration(timedelta(seconds=round((world.now() - (active.verified_at or active.entered_at)).total_seconds())))
    return f"superseded by version {asked.version}, which {asked.cause} made, after {watched} of {format_duration(world.spec.release.watch)} of watch"


def _is_proven(world: World, active: ReleaseState) -> bool:
    return release_room.is_proven(active, release_room.policy_of(world.spec))


def _watched_until(world: World, active: ReleaseState) -> datetime:
    """At least, as far as somebody looks: as its decisions count `release.watch`."""
    return (active.verified_at or active.entered_at) + active.unwatched + world.spec.release.watch


def waits(world: World) -> str:
    """Of the newest version that was registered and is not released yet: for what it waits; empty: there is none, or nothing keeps it."""
    last, releases = jobs.last_registered(world), world.all("release", ReleaseState)
    active = next((each for each in reversed(releases) if each.phase not in TERMINAL), None)
    if last is None or active is None or last.unit in {None, active.challenger} or jobs.release_of(last, releases) is not None:
        return ""
    if stop_of(world) is not None:
        return f"version {last.version} waits: the model is stopped"
    by_person = is_of_person(world, last.id)
    if may_be_followed(world, active, world.now(), by_person=by_person):
        return ""
    if active.phase is not Phase.WATCHING:
        return f"version {last.version} waits until {active.id} has ended, which is in {place(active)}"
    if by_person:
        return f"version {last.version} waits until all has passed that {active.id} must pass"
    until = max(_watched_until(world, active), world.now())
    labels = "" if _is_proven(world, active) else ", and all that it must pass has passed"
    return (
        f"version {last.version} waits until {active.id} has been watched, at {moment(until)}{labels}. "
        "A shorter release.watch in flyball.yaml, or flyball rollback, ends that sooner"
    )


def is_apart(world: World, shelf: UnitShelf, champion: Champion | None, unit: str) -> bool:
    """Whether no route can hold the unit beside the champion: no gateway would take it, and no look could compare the two. Told once, as a finding."""
    if champion is None:
        return False
    found: Clash | None = None
    with suppress(ArtifactDamaged, NotFound, TrackingFailed):  # the release tells of a package that is lacking
        found = clash(shelf.served(champion.unit).signature, shelf.served(unit).signature)
    if found is None:
        return False
    now, number = world.now(), shelf.unit(unit).version
    words = (
        f"version {number} ({unit}) is not released beside {champion.unit}: {found.found}, and the champion {found.expected}. "
        f"Next: {found.next_step}"
    )
    finding = Finding(
        id=f"f-apart-{unit}-{champion.unit}-{champion.release}", kind=FindingKind.SERVING, model=world.model, unit=unit, subject="release",
        window_start=now, window_end=now, effect=1.0, effect_unit="units", share_of_budget=None, words=words,
        evidence=Evidence(name="units_of_one_route", value=0.0, n=1, unit="units"),
    )  # fmt: skip
    if world.get("finding", finding.id, Finding) is None:
        world.record(draft(now, "finding.raised", f"finding:{finding.id}", {}, puts_of(world, (finding,)), key=finding.id))
        world.ports.notifier.notify(f"version {number}", words)
        world.say("bad", words)
    return True


def tell_narrower(world: World, shelf: UnitShelf, champion: Champion | None, unit: str) -> None:
    """Of a release that has opened: what its unit refuses and the champion takes. Gateways hand values that it does not take to the champion, and tell of
    them as its failures; of fields that are no columns nobody else would tell."""
    if champion is None:
        return
    refused: tuple[str, ...] = ()
    fields = False
    with suppress(ArtifactDamaged, NotFound, TrackingFailed):  # the release tells of a package that is lacking
        known, other = shelf.served(champion.unit).signature, shelf.served(unit).signature
        refused, fields = narrower(known, other), known.extra == "ignore" and other.extra == "refuse"
    if not refused and not fields:
        return
    number, told = shelf.unit(unit).version, []
    if refused:
        told.append(
            f"takes less than {champion.unit}: not {listed(refused)}. Such requests count as its failures until its release has settled, and are 422 from then on"
        )
    if fields:
        told.append(
            "refuses fields that are no columns. Such requests are answered until all traffic is its own, and are 422 from then on, which no guard sees"
        )
    words = f"version {number} ({unit}) {'. It '.join(told)}. Next: where that is not meant, change schema.yaml, then flyball run"
    world.ports.notifier.notify(f"version {number}", words)
    world.say("bad", words)
