"""The registry's aliases, for people who look into MLflow: read what is wanted, write it until it was taken."""

from datetime import datetime, timedelta

import msgspec

from flyball.control.world import World, draft, put
from flyball.errors import FlyballError
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Champion
from flyball.records.unit import Unit

AGAIN = timedelta(minutes=1)
"""After a registry that could not be reached: nobody's traffic hangs on an alias, so it must not hold the ticks up."""


class Pointed(msgspec.Struct, frozen=True, kw_only=True):
    version: int


class Aliases:
    """`champion` and `challenger` of one model. What was written is in the ledger: a controller that starts does not ask a registry to say it again (MLflow
    takes seconds to be imported, which are missing where a release is under way)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._not_before: datetime | None = None
        self._left = False

    def reconcile(self, *, busy: bool = False) -> None:
        """Point each at its version where that has changed, whether a release or a rollback changed it. Left to the next tick, once, by one that was busy:
        two stages of seconds in one tick are a tick of many seconds, in which nobody looks after the traffic."""
        self._left = busy and not self._left
        if self._left:
            return
        for alias, number in self._wanted().items():
            if self._world.get("alias", alias, Pointed) != Pointed(version=number) and self._may_try():
                self._point(alias, number)

    def _wanted(self) -> dict[str, int]:
        world, wanted = self._world, dict[str, int]()
        champion = world.get("champion", world.model, Champion)
        unit = world.get("unit", champion.unit, Unit) if champion is not None else None
        if unit is not None:
            wanted["champion"] = unit.version
        newest = [job.version for job in world.all("job", Job) if job.status is JobStatus.REGISTERED and job.version is not None]
        if newest:
            wanted["challenger"] = newest[-1]
        return wanted

    def _may_try(self) -> bool:
        return self._not_before is None or self._world.now() >= self._not_before

    def _point(self, alias: str, number: int) -> None:
        world = self._world
        try:
            world.ports.registry.mark(world.model, number, alias)
        except FlyballError as error:
            self._not_before = world.now() + AGAIN
            world.say("bad", f"the alias {alias} of version {number} is not set yet: {error.message}")
            return
        self._not_before = None
        state = put("alias", alias, Pointed(version=number))
        world.record(draft(world.now(), "alias.pointed", f"model:{world.model}", {"alias": alias, "version": number}, (state,)))
