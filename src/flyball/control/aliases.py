"""The registry's aliases, for people who look into MLflow: read what is wanted, write it until it was taken."""

from datetime import datetime, timedelta

from flyball.control.world import World
from flyball.errors import FlyballError
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Champion
from flyball.records.unit import Unit

AGAIN = timedelta(minutes=1)
"""After a registry that could not be reached: nobody's traffic hangs on an alias, so it must not hold the ticks up."""


class Aliases:
    """`champion` and `challenger` of one model. Nothing is remembered beyond the process: a new controller writes both once more."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pointed: dict[str, int] = {}
        self._not_before: datetime | None = None

    def reconcile(self) -> None:
        """Point each at its version where that has changed, whether a release or a rollback changed it."""
        for alias, number in self._wanted().items():
            if self._pointed.get(alias) != number and self._may_try():
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
        try:
            self._world.ports.registry.mark(self._world.model, number, alias)
        except FlyballError as error:
            self._not_before = self._world.now() + AGAIN
            self._world.say("bad", f"the alias {alias} of version {number} is not set yet: {error.message}")
            return
        self._pointed[alias], self._not_before = number, None
