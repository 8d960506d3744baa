"""The autopilot's bounds as every door sees them."""

import time
from typing import Any

from flyball.control import bounds, job_story
from flyball.control.job_story import JobStory
from flyball.control.reports import CommandReport
from flyball.wiring.releases import Controlling, ordering_world
from flyball.wiring.worlds import Home, say_nothing, world_of


class Autopilot:
    def __init__(self, home: Home, controlling: Controlling) -> None:
        self._home = home
        self._controlling = controlling

    def close_breaker(self, actor: str, reason: str) -> CommandReport:
        return self._ordered("close_breaker", actor, reason, {})

    def raise_autonomy(self, action: str, actor: str, reason: str) -> CommandReport:
        bounds.refuse_unknown(action)
        return self._ordered("raise_autonomy", actor, reason, {"action": action})

    def stop_serving(self, actor: str, reason: str) -> CommandReport:
        return self._ordered("stop_serving", actor, reason, {})

    def resume_serving(self, actor: str, reason: str) -> CommandReport:
        return self._ordered("resume_serving", actor, reason, {})

    def explain_job(self, job: str) -> JobStory:
        return job_story.story(world_of(self._home, say_nothing), job)

    def _ordered(self, kind: str, actor: str, reason: str, arguments: dict[str, Any]) -> CommandReport:
        from flyball.control import commands, ordering

        with self._controlling(f"flyball {kind}") as engine:
            world = ordering_world(self._home, engine)
            return ordering.carried_out(world, engine, commands.order(world, kind, actor, reason, arguments), time.sleep)
