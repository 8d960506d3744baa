"""The releases of a project as every door sees them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from flyball.control import ordering, release_report
from flyball.control.engine import Engine
from flyball.control.reports import CommandReport, ReleaseReport, ReleaseRow
from flyball.wiring.worlds import Home, say_nothing, world_of

Controlling = Callable[[str], AbstractContextManager[Engine | None]]
"""The engine, when nobody else controls the project; else None."""


class Releases:
    def __init__(self, home: Home, controlling: Controlling) -> None:
        self._home = home
        self._controlling = controlling

    def rows(self) -> tuple[ReleaseRow, ...]:
        return release_report.rows(world_of(self._home, say_nothing))

    def report(self, which: str | None) -> ReleaseReport:
        return release_report.report(world_of(self._home, say_nothing), which)

    def drill(self, actor: str) -> CommandReport:
        with self._controlling("flyball drill") as engine:
            if engine is not None:
                return ordering.drill(engine.world, engine, actor, time.sleep)
        return ordering.drill(world_of(self._home, say_nothing), None, actor, time.sleep)
