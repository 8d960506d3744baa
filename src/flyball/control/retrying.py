"""What failed, of one kind of things: tried again ever more seldom, and told at every look until it is done."""

from collections.abc import Callable, Collection, Hashable
from datetime import datetime, timedelta
from traceback import clear_frames
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from flyball.control.unforeseen import tried
from flyball.control.world import World

SOONEST, SLOWEST = timedelta(seconds=1), timedelta(minutes=10)
"""Between tries, which cost as much as what succeeds: twice as long after each. A system that is there again is not kept waiting for longer."""


class _Failed(NamedTuple):
    since: datetime
    pause: timedelta
    again_at: datetime
    error: Exception
    place: TracebackType | None
    """Where it was raised: each time that the same error is raised again Python would add to it."""


Key = TypeVar("Key", bound=Hashable)


class Retries(Generic[Key]):
    def __init__(self, world: World) -> None:
        self._world = world
        self._failed: dict[Key, _Failed] = {}

    def tried(self, key: Key, act: Callable[[], object], trouble: list[Exception]) -> bool:
        """Whether it was done now. While it is not due again its trouble is the one that it had. Raises Fenced, StoreUnavailable."""
        before, now = self._failed.get(key), self._world.now()
        # By a clock that stands (simulated) or was set back nothing would ever be due.
        if before is not None and before.again_at - before.pause < now < before.again_at:
            trouble.append(before.error.with_traceback(before.place))
            return False
        if tried(act, trouble):
            self._failed.pop(key, None)
            return True
        error = trouble[-1]
        clear_frames(error.__traceback__)  # they hold all that was gathered
        pause = min(before.pause * 2, SLOWEST) if before is not None else SOONEST
        self._failed[key] = _Failed(before.since if before is not None else now, pause, now + pause, error, error.__traceback__)
        return False

    def for_long(self, key: Key, least: timedelta) -> bool:
        """Whether nothing was done under this key for so long."""
        failed = self._failed.get(key)
        return failed is not None and self._world.now() - failed.since >= least

    def try_at_once(self, key: Key) -> None:
        """What stands under this key is another thing now."""
        if key in self._failed:
            self._failed[key] = self._failed[key]._replace(pause=SOONEST, again_at=self._failed[key].since)

    def begin_anew(self, key: Key, at: datetime) -> None:
        """What stands under this key came about at `at`: trouble that began before was another's, and it is given its own time."""
        if key in self._failed and self._failed[key].since < at:
            del self._failed[key]

    def keep(self, keys: Collection[Key]) -> None:
        """Of the others nothing is known any more."""
        self._failed = {key: failed for key, failed in self._failed.items() if key in keys}
