"""Rehearsals of a rollback: every gateway loads the unit that a rollback would go to and is seen to hold its bytes, while the champion goes on answering.

It proves what fails in earnest: a package that is gone or damaged, a gateway that cannot load it or does not switch; and it says how long it takes.
"""

from datetime import datetime

import msgspec

from flyball.control import traffic
from flyball.control.standing import puts_of
from flyball.control.traffic import SwitchReading
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft, put
from flyball.errors import Conflict
from flyball.records import codec
from flyball.records.events import Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.release import TERMINAL, Champion, Drill, ReleaseState


def standing_drill(world: World) -> Drill | None:
    """The one that goes on."""
    return next((drill for drill in world.all("drill", Drill) if drill.ended_at is None), None)


class Drills:
    """One at a time, and none beside a release: that keeps its old unit warm anyway."""

    def __init__(self, world: World, shelf: UnitShelf) -> None:
        self._world = world
        self._shelf = shelf
        self._unserved = traffic.Unserved()

    def open(self, cause: str, *, key: str | None = None) -> Drill:
        """Begin one. Raises Conflict when there is nothing to rehearse, or no time for it."""
        if key is not None and (begun := self._begun_by(key)) is not None:
            return begun
        champion, now = self._champion(), self._world.now()
        if traffic.stop_of(self._world) is not None:
            raise Conflict(f"{self._world.model} is stopped, so that no gateway takes a unit", next_step="flyball serving resume")
        if any(release.phase not in TERMINAL for release in self._world.all("release", ReleaseState)):
            raise Conflict("a release is under way", expected="a settled champion", next_step="flyball release status")
        if (standing := standing_drill(self._world)) is not None:
            return standing
        earlier = [unit for unit in (champion.verified if champion else ()) if champion and unit != champion.unit]
        if champion is None or not earlier:
            raise Conflict("there is no earlier verified unit that a rollback could go to", next_step="flyball versions")
        held = [unit for unit in earlier if self._shelf.holds(unit)]
        number, counter = self._world.number("drill")
        drill = Drill(id=f"drill-{number:04d}", champion=champion.unit, unit=(held or earlier)[-1], opened_at=now, cause=cause)
        if not held:
            words = f"no earlier unit's package is whole: a rollback of {champion.unit} has nowhere to go"
            self._end(drill, "failed", words, (counter,), key=key)
            return msgspec.structs.replace(drill, ended_at=now, outcome="failed", words=words)
        routing = traffic.routing_put(self._world, self._shelf, champion, None, rehearsed=drill.unit)
        self._unserved.forget()
        self._world.record(
            draft(now, "drill.opened", f"drill:{drill.id}", codec.plain(drill), (counter, put("drill", drill.id, drill), *routing), key=key)
        )  # fmt: skip
        return drill

    def advance(self, switch: SwitchReading) -> bool:
        """One look. True: something moved."""
        drill, champion = standing_drill(self._world), self._champion()
        if drill is None or champion is None:
            return self._open_if_due(champion)
        if champion.unit != drill.champion or any(
            release.phase not in TERMINAL for release in self._world.all("release", ReleaseState)
        ):
            self._end(drill, "interrupted", "a release began")
            return True
        if traffic.stop_of(self._world) is not None:
            self._end(drill, "interrupted", "the model was stopped")
            return True
        if switch.state != "verified":
            if not self._unserved.count(switch):
                return False
            self._end(
                drill, "failed", f"a rollback to {drill.unit} was not seen at every gateway: {switch.words}", self._taken_back()
            )
            return True
        self._unserved.forget()
        now = self._world.now()
        if drill.loaded_at is None:
            loaded = msgspec.structs.replace(drill, loaded_at=now)
            payload = {"words": f"{switch.words}, with {drill.unit} ready"}
            puts = (put("drill", drill.id, loaded), *self._taken_back())
            self._world.record(draft(now, "drill.loaded", f"drill:{drill.id}", payload, puts))
            return True
        version = self._shelf.unit(drill.unit).version
        seconds = (drill.loaded_at - drill.opened_at).total_seconds(), (now - drill.loaded_at).total_seconds()
        self._end(
            drill, "passed",
            f"a rollback to version {version} ({drill.unit}) takes {sum(seconds):.1f} s: {seconds[0]:.1f} s until every gateway held its bytes, "
            f"{seconds[1]:.1f} s until every gateway had switched again{self._passed_over(drill, champion)}",
        )  # fmt: skip
        return True

    def _passed_over(self, drill: Drill, champion: Champion) -> str:
        """A later unit that was verified, too, and that a rollback would go to were its package whole."""
        later = champion.verified[champion.verified.index(drill.unit) + 1 :] if drill.unit in champion.verified else ()
        gone = [unit for unit in later if unit != champion.unit and not self._shelf.holds(unit)]
        return f"; it goes past {', '.join(gone)}, whose package is not whole (flyball doctor)" if gone else ""

    def _open_if_due(self, champion: Champion | None) -> bool:
        every = self._world.spec.release.drill
        if every is None or champion is None or not [unit for unit in champion.verified if unit != champion.unit]:
            return False
        now = self._world.now()
        # One in the future was held by a clock that was ahead: none would be held until then.
        held = (drill.opened_at for drill in self._world.all("drill", Drill) if drill.opened_at <= now)
        last = max(held, default=champion.since)
        if now - max(last, champion.since) < every:
            return False
        try:
            self.open("schedule")
        except Conflict:
            return False
        return True

    def _begun_by(self, key: str) -> Drill | None:
        """The drill of an order that a controller carried out before it died; by now it may have ended, or a release may be under way."""
        for event in self._world.ports.ledger.events(kinds=("drill.opened", "drill.ended")):
            if event.key == key:
                return self._world.get("drill", event.subject.removeprefix("drill:"), Drill)
        return None

    def _end(self, drill: Drill, outcome: str, words: str, puts: tuple[Put, ...] = (), *, key: str | None = None) -> None:
        """`puts`: what else belongs into the same transaction."""
        now = self._world.now()
        ended = msgspec.structs.replace(drill, ended_at=now, outcome=outcome, words=words)
        findings: tuple[Put, ...] = ()
        if outcome == "failed":
            findings = puts_of(self._world, (_finding(self._world, ended, now),))
        payload = {"outcome": outcome, "words": words}
        self._world.record(
            draft(now, "drill.ended", f"drill:{drill.id}", payload, (put("drill", drill.id, ended), *puts, *findings), key=key)
        )
        if outcome == "failed":
            self._world.ports.notifier.notify(f"model {self._world.model}", words)
        self._world.say({"passed": "good", "failed": "bad"}.get(outcome, "plain"), f"Drill: {words}.")

    def _taken_back(self) -> tuple[Put, ...]:
        return traffic.routing_put(self._world, self._shelf, self._champion(), None)

    def _champion(self) -> Champion | None:
        return self._world.get("champion", self._world.model, Champion)


def _finding(world: World, drill: Drill, now: datetime) -> Finding:
    return Finding(
        id=f"f-{drill.id}", kind=FindingKind.SERVING, model=world.model, unit=drill.champion, subject="drill",
        window_start=drill.opened_at, window_end=now, effect=1.0, effect_unit="drills",
        evidence=Evidence(name="rollback_rehearsed", value=0.0, n=1, unit="drills"), share_of_budget=None, words=drill.words,
    )  # fmt: skip
