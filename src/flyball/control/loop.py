"""Ticks without end: what goes wrong in one is recorded, and the next one looks at the world anew."""

from collections.abc import Callable
from datetime import datetime

from flyball.control.engine import Engine
from flyball.control.trouble import Trouble
from flyball.control.unforeseen import kind_and_place
from flyball.control.world import draft, put
from flyball.errors import Fenced, FlyballError, Outdated
from flyball.records.events import Put

LEAST_SECONDS = 0.5
"""What the pause after a failure grows from, however short a tick is: of next to nothing it would stay next to nothing."""
SLOWEST_SECONDS = 10.0
"""After failures in a row ticks come slower, up to this: a broken disk is not mended by asking it often, but a canary must not wait either."""


def keep_ticking(
    engine: Engine, tick_seconds: float, wait: Callable[[float], bool], tell: Callable[[Trouble | None], None]
) -> None:
    """Until `wait(seconds)` answers True, or flyball.yaml has changed. After each tick `tell` is given what the ledger does not take; None: it takes all.

    Raises Fenced when a newer controller has taken over.
    """
    failures = 0
    while True:
        try:
            words = tick_once(engine)
        except Outdated as error:
            engine.world.say("plain", f"{error.message} This process ends and is started again.")
            return
        tell(engine.untold)
        failures = failures + 1 if words else 0
        if wait(pause_seconds(tick_seconds, failures)):
            return


def pause_seconds(tick_seconds: float, failures: int) -> float:
    """Until the next tick, after so many failures in a row."""
    if not failures:
        return tick_seconds
    return min(max(tick_seconds, LEAST_SECONDS) * 2.0 ** min(failures, 10), SLOWEST_SECONDS)  # 2.0**1024 is no number any more


def tick_once(engine: Engine, passing: tuple[type[FlyballError], ...] = ()) -> str:
    """One tick; empty, or what went wrong in words. Raises Fenced, Outdated, and what is of `passing`."""
    words = said = ""
    try:
        engine.tick()
    except (Fenced, Outdated):
        raise
    except FlyballError as error:
        if isinstance(error, passing):
            raise
        words = said = error.message
    except Exception as error:  # noqa: BLE001 - the top of a tick: becomes a recorded event, and serving goes on
        words = kind_and_place(error)
        said = f"{words}: {error}"
    _note(engine, words, said)
    return words


def _note(engine: Engine, words: str, said: str) -> None:
    """Once for as long as it lasts: `flyball status` shows it, and the ledger does not fill with the same sentence. Other words begin no other trouble: no tick
    between them was whole. `said` is for the log alone: an exception's own words may quote a row, and the ledger forgets nothing."""
    world, untold = engine.world, engine.untold
    standing: Trouble | None = None
    try:
        engine.untold = None
        standing = world.get("trouble", world.model, Trouble)
        if (standing.words if standing else "") == words:
            return
        now, subject, payload = world.now(), f"model:{world.model}", {"words": words}
        if words:
            trouble = Trouble(words=words, since=_since(standing, untold, now))
            world.record(draft(now, "tick.failed", subject, payload, (put("trouble", world.model, trouble),)))
        else:
            world.record(draft(now, "tick.recovered", subject, payload, (Put("trouble", world.model, None),)))
    except Fenced:
        raise
    except FlyballError as error:
        engine.untold = Trouble(words=words or error.message, since=_since(standing if words else None, untold, world.now()))
        world.say("bad", f"A tick's trouble could not be recorded: {error.message}")
    world.say("bad" if words else "good", f"A tick failed: {said}" if words else "Ticks are whole again.")


def _since(standing: Trouble | None, untold: Trouble | None, now: datetime) -> datetime:
    """When it began: of what is recorded and of what could not be, the earlier."""
    return min((each.since for each in (standing, untold) if each is not None), default=now)
