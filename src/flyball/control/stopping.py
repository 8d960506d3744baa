"""Stopping a model: its requests are refused, or a version that flyball.yaml names answers, until a person resumes it."""

from datetime import datetime

import msgspec

from flyball.control.releases import Releases
from flyball.control.traffic import SwitchReading, routing_put, stop_of
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft, put
from flyball.errors import Conflict, TrackingFailed
from flyball.records.bounds import Stop
from flyball.records.events import Put
from flyball.records.release import Phase
from flyball.records.unit import Unit
from flyball.registry.unit import answers_alike
from flyball.release import state as states

HOLDS = frozenset({Phase.PROPOSED, Phase.SHADOW, Phase.CANARY})
"""Phases from which a release is held. A later one waits where it is until the model answers again."""


class Stopping:
    """Of one model."""

    def __init__(self, world: World, shelf: UnitShelf, releases: Releases) -> None:
        self._world, self._shelf, self._releases = world, shelf, releases

    def stop(self, reason: str, cause: str, *, key: str) -> str:
        """Once for a `key`; what was done, in words. An open release is held: without traffic there is nothing to judge it by. Raises Conflict."""
        standing, champion = stop_of(self._world), self._releases.champion()
        last = self._world.get("stop", self._world.model, Stop)
        if last is not None and last.key == key:
            return last.words if standing is None else self._told(last)
        if standing is not None:
            raise Conflict(
                f"{self._world.model} is stopped already, since {standing.stopped_at.isoformat()}",
                next_step="flyball serving resume",
            )
        active = self._releases.active()
        # A first version that some gateways have taken and others have not answers already, and is nobody's champion yet.
        first = active.challenger if active is not None and active.phase is Phase.FULL else None
        unit = champion.unit if champion is not None else first
        if unit is None:
            raise Conflict("nothing is served that could be stopped", next_step="flyball status")
        if active is not None and active.phase in HOLDS:
            self._releases.hold(f"{self._world.model} is stopped: {reason}", cause, key=f"{key}:hold")
        fallback, why_not = self._fallback(unit, champion.verified if champion is not None else ())
        answers = f"{fallback} answers instead" if fallback else f"requests are refused{f' ({why_not})' if why_not else ''}"
        words = f"{self._world.model} is stopped: {reason}; {answers}"
        now = self._world.now()
        stop = Stop(stopped_at=now, key=key, cause=cause, reason=reason, words=words, unit=unit, fallback=fallback)
        payload = {"words": words, "cause": cause, "fallback": fallback}
        self._world.record(draft(now, "serving.stopped", f"model:{self._world.model}", payload, self._puts(stop), key=key))
        return self._told(stop)

    def _told(self, stop: Stop) -> str:
        """Also where it was stopped already, by a controller that died before it could tell."""
        self._world.ports.notifier.notify(
            f"model {self._world.model}", f"{stop.words}. Next: flyball serving resume, once it is mended"
        )
        return stop.words

    def resume(self, actor: str, reason: str, *, key: str) -> str:
        """Let the champion answer again. A release that was held stays so. Raises Conflict."""
        last = self._world.get("stop", self._world.model, Stop)
        if last is not None and last.resumed_key == key:
            return f"{self._world.model} answers again"
        if last is None or last.resumed_at is not None:
            raise Conflict(f"{self._world.model} is not stopped", next_step="flyball status")
        resumed = msgspec.structs.replace(
            last, resumed_at=self._world.now(), resumed_by=actor, resumed_reason=reason, resumed_key=key, verified_at=None
        )
        now, payload = self._world.now(), {"by": actor, "reason": reason}
        puts = (*self._puts(resumed), *self._waits_anew(now))
        self._world.record(draft(now, "serving.resumed", f"model:{self._world.model}", payload, puts, key=key))
        return f"{self._world.model} answers again"

    def _waits_anew(self, now: datetime) -> tuple[Put, ...]:
        """A watch over a model that answered nobody saw nothing: it begins again when the model is seen to answer. All traffic that some gateways had not
        taken could not be taken meanwhile."""
        active = self._releases.active()
        if active is not None and active.phase is Phase.WATCHING:
            return (put("release", active.id, msgspec.structs.replace(active, verified_at=None)),)
        if active is not None and active.phase is Phase.FULL and active.verified_at is None:
            return (put("release", active.id, states.again(active, now)),)
        return ()

    def note(self, switch: SwitchReading) -> None:
        """Record once that every gateway was seen to serve it so."""
        last = self._world.get("stop", self._world.model, Stop)
        if last is None or last.verified_at is not None or switch.state != "verified":
            return
        seen = msgspec.structs.replace(last, verified_at=self._world.now())
        state = "stopped" if last.resumed_at is None else "resumed"
        self._world.record(
            draft(
                self._world.now(), "serving.verified", f"model:{self._world.model}", {"state": state, "words": switch.words},
                (put("stop", self._world.model, seen),),
            )
        )  # fmt: skip
        self._world.say("good", f"{self._world.model} is seen to be {state}: {switch.words}")

    def _puts(self, stop: Stop) -> tuple[Put, ...]:
        routing = routing_put(self._world, self._shelf, self._releases.champion(), self._releases.active(), stop=stop)
        return (put("stop", self._world.model, stop), *routing)

    def _fallback(self, stopped: str, verified: tuple[str, ...]) -> tuple[str | None, str]:
        """(unit of the version that `serve.fallback` names, or why it is not that). Of several the one that was last seen to serve as champion, without a map
        before one with: another threshold may have been refused, or taken back. If none was, the newest as the version is; but none of the version that is
        stopped, since nobody has seen that another unit of it does better."""
        wanted = self._world.spec.serve.fallback
        if wanted is None:
            return None, ""
        mine = {unit.id: unit for unit in self._world.by_last_event("unit", Unit) if unit.version == wanted}
        if not mine:
            return None, f"serve.fallback is version {wanted}, which is not registered"
        now = self._shelf.unit(stopped)
        served = [unit for unit in verified if unit in mine and not answers_alike(mine[unit], now)]
        plain = [unit for unit in served if mine[unit].calibration is None]
        untried = [unit.id for unit in mine.values() if unit.calibration is None and now.version != wanted]
        best = plain or served or untried
        if not best:
            return None, f"serve.fallback is version {wanted}, which is what is stopped"
        try:
            whole = self._shelf.holds(best[-1])
        except TrackingFailed:  # a brake waits for no registry
            return None, f"serve.fallback is version {wanted}, of which the registry does not answer"
        if not whole:
            return None, f"the package of serve.fallback, version {wanted}, is not whole"
        return best[-1], ""
