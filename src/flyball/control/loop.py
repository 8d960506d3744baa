"""Ticks without end: what goes wrong in one is recorded, and the next one looks at the world anew."""

from collections.abc import Callable

from flyball.control.engine import Engine
from flyball.control.world import draft
from flyball.errors import Fenced, FlyballError

SLOWEST_SECONDS = 60.0
"""After failures in a row ticks come slower, up to this: a broken disk is not mended by asking it often."""


def keep_ticking(engine: Engine, tick_seconds: float, wait: Callable[[float], bool]) -> None:
    """Until `wait(seconds)` answers True. Raises Fenced when a newer controller has taken over."""
    failures = 0
    while True:
        words = tick_once(engine)
        failures = failures + 1 if words else 0
        if wait(min(tick_seconds * 2**failures, SLOWEST_SECONDS) if failures else tick_seconds):
            return


def tick_once(engine: Engine) -> str:
    """One tick; empty, or what went wrong in words. Raises Fenced."""
    try:
        engine.tick()
    except Fenced:
        raise
    except FlyballError as error:
        return _failed(engine, error.message)
    except Exception as error:  # noqa: BLE001 - the top of a tick: becomes a recorded event, and serving goes on
        return _failed(engine, f"{type(error).__name__}: {error}")
    return ""


def _failed(engine: Engine, words: str) -> str:
    world = engine.world
    world.say("bad", f"A tick failed: {words}")
    try:
        world.record(draft(world.now(), "tick.failed", f"model:{world.model}", {"words": words}))
    except Fenced:
        raise
    except FlyballError as error:
        world.say("bad", f"…and could not be recorded: {error.message}")
    return words
