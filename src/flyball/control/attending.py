"""What counts for no phase of a release: time in which nobody looked after it, or gateways held its canary at 0."""

from datetime import datetime, timedelta

import msgspec

from flyball.control.traffic import SwitchReading
from flyball.control.world import World, draft, put
from flyball.records.release import Phase, ReleaseState
from flyball.records.routing import LEASE_SECONDS
from flyball.release import state as states
from flyball.release.decide import JUDGED
from flyball.release.waiting import moment, span

LEASE = timedelta(seconds=LEASE_SECONDS)
WITHHELD_NOTED = timedelta(minutes=10)
"""While a canary is held at 0 it is noted so often: a controller that dies meanwhile forgets no more."""
BLIND = timedelta(hours=1)
"""So long it is the machine's trouble that captured records cannot be read; after that they are data that are missing."""
_LOOKED_AFTER = ("release.paused", "release.dated", "release.verified", "release.moved")
"""Events of a release that only a controller writes that looks after it."""
_TIMED = JUDGED | {Phase.PROPOSED}


class Attending:
    """Of one controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looked = world.now()
        self._withheld = timedelta(0)
        """Not noted yet."""

    def begin(self, release: ReleaseState | None) -> None:
        """Before it says itself that it lives: from then on nobody can tell how long there was silence. Noted at once: it may die before it looks."""
        now = self._world.now()
        if release is not None and release.phase in _TIMED | {Phase.HELD}:
            dated = self._dated(release, now)
            if release.phase in _TIMED:
                self._pause(dated, self._silence_before(release, now), now)
        self._looked = now  # until a look succeeds nobody looks, however long that takes

    def seen(self, release: ReleaseState, switch: SwitchReading) -> SwitchReading:
        """A canary that is held at 0 is not seen to be served."""
        if not self.withholds(release, switch):
            return switch
        return msgspec.structs.replace(switch, state="pending")

    def note(self, release: ReleaseState | None, switch: SwitchReading) -> None:
        """Once for every look, before anything is made of it."""
        if release is not None and release.phase in _TIMED:
            self._count(release, switch)
        if release is None or release.phase is not Phase.CANARY:
            self._withheld = timedelta(0)
        self._looked = self._world.now()  # only now: what could not be recorded is asked for again

    def _count(self, release: ReleaseState, switch: SwitchReading) -> None:
        now = self._world.now()
        silent, withheld = self._silence(now), self.withholds(release, switch)
        if silent > LEASE:
            self._pause(release, silent, now)
            return
        if withheld:
            self._withheld += now - self._looked
        if self._withheld >= (WITHHELD_NOTED if withheld else LEASE):
            after = msgspec.structs.replace(release, withheld=release.withheld + self._withheld)
            _record(self._world, "release.paused", after, f"gateways held its canary at 0 for {span(self._withheld)}")
            self._withheld = timedelta(0)

    def _dated(self, release: ReleaseState, now: datetime) -> ReleaseState:
        """As it is where it began in the past. Only at a start: a clock that is set while a controller works does not take its time back."""
        dated = states.dated(release, now)
        if dated is not release:
            at = moment(max(release.opened_at, release.entered_at))
            words = f"it was opened or moved by a clock that was ahead, at {at}, or the present one is behind"
            _record(self._world, "release.dated", dated, words)
        return dated

    def _pause(self, release: ReleaseState, silent: timedelta, now: datetime) -> None:
        after = states.unwatched(release, silent, now) if silent > LEASE else release
        if after != release:
            lost = span(after.unwatched - release.unwatched)
            _record(self._world, "release.paused", after, f"nobody looked after it for {lost}")

    def withholds(self, release: ReleaseState, switch: SwitchReading) -> bool:
        """Whether a gateway holds its canary at 0. Where time is simulated a stale lease says nothing: a training takes time of the machine and none of the
        world."""
        suspended = any(report.canary_suspended for report in switch.reports)
        return suspended and release.phase is Phase.CANARY and not self._world.ports.clock.simulated

    def _silence(self, now: datetime) -> timedelta:
        """For how long nobody had looked. A clock that is set while a controller works is no silence."""
        if self._world.ports.clock.simulated:
            return timedelta(0)
        return min(self._world.ports.gateways.lease_age(), now - self._looked)

    def _silence_before(self, release: ReleaseState, now: datetime) -> timedelta:
        """The same at a start. One before may have noted its part and died before it said that it lives."""
        if self._world.ports.clock.simulated:
            return timedelta(0)
        silent = self._world.ports.gateways.lease_age()
        noted = self._world.ports.ledger.events(kinds=_LOOKED_AFTER, subject=f"release:{release.id}")
        return min(silent, now - noted[-1].at) if noted and noted[-1].at <= now else silent


def blind(unread_since: datetime | None, now: datetime) -> bool:
    """Whether something that was captured may lately not be here."""
    return unread_since is not None and now - unread_since < BLIND


def _record(world: World, kind: str, after: ReleaseState, words: str) -> None:
    world.record(draft(world.now(), kind, f"release:{after.id}", {"words": words}, (put("release", after.id, after),)))
