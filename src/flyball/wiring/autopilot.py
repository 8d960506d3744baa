"""The autopilot's bounds as every door sees them."""

import time
from typing import Any

from flyball.control import commands, ordering
from flyball.control.reports import CommandReport
from flyball.wiring.releases import Controlling
from flyball.wiring.worlds import Home, say_nothing, world_of


class Autopilot:
    def __init__(self, home: Home, controlling: Controlling) -> None:
        self._home = home
        self._controlling = controlling

    def close_breaker(self, actor: str, reason: str) -> CommandReport:
        return self._ordered("close_breaker", actor, reason, {})

    def raise_autonomy(self, action: str, actor: str, reason: str) -> CommandReport:
        return self._ordered("raise_autonomy", actor, reason, {"action": action})

    def _ordered(self, kind: str, actor: str, reason: str, arguments: dict[str, Any]) -> CommandReport:
        with self._controlling(f"flyball {kind}") as engine:
            world = engine.world if engine is not None else world_of(self._home, say_nothing)
            command = commands.order(world, kind, actor, reason, arguments)
            if engine is not None:
                return ordering.bound(world, engine, command, time.sleep)
        return ordering.bound(world, None, command, time.sleep)
