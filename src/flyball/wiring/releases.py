"""The releases of a project as every door sees them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from flyball.control import release_report
from flyball.control.reports import CommandReport, ReleaseReport, ReleaseRow
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.wiring.worlds import Home, say_nothing, world_of

if TYPE_CHECKING:
    from flyball.control.engine import Engine

Controlling = Callable[[str], AbstractContextManager["Engine | None"]]
"""The engine, when nobody else controls the project; else None."""


class Releases:
    """What orders need is imported when one is given: who only looks starts without it."""

    def __init__(self, home: Home, controlling: Controlling) -> None:
        self._home = home
        self._controlling = controlling

    def rows(self, *, replayed: bool = False) -> tuple[ReleaseRow, ...]:
        """`replayed`: of the last `flyball replay`."""
        return release_report.rows(self._read(replayed))

    def report(self, which: str | None, *, replayed: bool = False) -> ReleaseReport:
        return release_report.report(self._read(replayed), which)

    def _read(self, replayed: bool) -> World:  # noqa: FBT001 - a command's own flag
        if not replayed:
            return world_of(self._home, say_nothing)
        there = self._home.state_dir / "replay"
        if not there.is_dir():
            raise NotFound("nothing was replayed here yet", next_step="flyball replay")
        return world_of(self._home._replace(state_dir=there), say_nothing)

    def hold(self, actor: str, reason: str) -> CommandReport:
        return self._move("hold", actor, reason)

    def resume(self, actor: str, reason: str) -> CommandReport:
        return self._move("resume", actor, reason)

    def _move(self, kind: str, actor: str, reason: str) -> CommandReport:
        from flyball.control import commands, ordering

        with self._controlling(f"flyball release {kind}") as engine:
            world = ordering_world(self._home, engine)
            return ordering.carried_out(world, engine, commands.order(world, kind, actor, reason), time.sleep)

    def drill(self, actor: str) -> CommandReport:
        from flyball.control import ordering

        with self._controlling("flyball drill") as engine:
            return ordering.drill(ordering_world(self._home, engine), engine, actor, time.sleep)


def ordering_world(home: Home, engine: "Engine | None") -> World:
    """In which an order is given: the engine's own, or that of a door that only writes it down."""
    return engine.world if engine is not None else world_of(home, say_nothing)
