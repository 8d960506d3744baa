"""The autopilot's bounds as every door sees them."""

import time

from flyball.control import ordering
from flyball.control.reports import CommandReport
from flyball.wiring.releases import Controlling
from flyball.wiring.worlds import Home, say_nothing, world_of


class Autopilot:
    def __init__(self, home: Home, controlling: Controlling) -> None:
        self._home = home
        self._controlling = controlling

    def close_breaker(self, actor: str, reason: str) -> CommandReport:
        with self._controlling("flyball breaker close") as engine:
            if engine is not None:
                return ordering.bound(engine.world, engine, "close_breaker", (actor, reason), time.sleep)
        return ordering.bound(world_of(self._home, say_nothing), None, "close_breaker", (actor, reason), time.sleep)
