"""What whoever orders has before his eyes: an order is for that, and is refused where it finds something else."""

from datetime import timedelta
from typing import Any

from flyball.control import bounds
from flyball.control.traffic import stop_of
from flyball.control.world import World
from flyball.errors import Conflict
from flyball.records.release import TERMINAL, Champion, ReleaseState

FREEING = frozenset({"resume", "resume_serving", "close_breaker", "raise_autonomy"})
"""Orders that let more happen than before."""
STANDS = timedelta(hours=1)
"""How long one of those waits for a controller. By then people may have decided otherwise, and nobody expects it any more; one that stops something stands."""


def seen(world: World, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an order, with what it is bound to. An empty text: there was nothing."""
    if kind == "roll_back" and not given:
        champion, release = world.get("champion", world.model, Champion), _under_way(world)
        return {"release": release} if release else ({"unit": champion.unit} if champion is not None else {})
    found = _found(world, kind, given)
    return {**given, found[0]: found[1]} if found is not None else given


def refuse_what_changed(world: World, kind: str, given: dict[str, Any]) -> None:
    """Raises Conflict. What is gone is told by who looks for it; an order of an earlier Flyball says nothing of what was seen, and means whatever it finds."""
    found = _found(world, kind, given)
    if found is None or found[0] not in given or not found[1] or given[found[0]] == found[1]:
        return
    was, now = given[found[0]], found[1]
    told = {
        "release": f"{now} is under way now; this was ordered for {was or 'no release'}",
        "stop": f"{world.model} was stopped again since this was ordered" if was else f"{world.model} was not stopped when this was ordered",
        "breaker": f"the breaker is open by {now}; this was ordered when {f'{was} had opened it' if was else 'it was closed'}",
        "level": f"{given.get('action')} stands at {now} at most, and not {f'at {was}' if was else 'where flyball.yaml has it'} as when this was ordered",
    }  # fmt: skip
    raise Conflict(told[found[0]], expected="what was seen by whoever ordered", next_step="flyball status, then order it again")


def _found(world: World, kind: str, given: dict[str, Any]) -> tuple[str, str] | None:
    """(name of the argument, what it is now) of an order that is bound."""
    if kind in {"hold", "resume"}:
        return "release", _under_way(world)
    if kind == "resume_serving":
        return "stop", stop.key if (stop := stop_of(world)) is not None else ""
    if kind == "close_breaker":
        return "breaker", breaker.decision if (breaker := bounds.open_breaker(world)) is not None else ""
    if kind == "raise_autonomy":
        return "level", bounds.autonomy_of(world).most.get(str(given.get("action", "")), "")
    return None


def _under_way(world: World) -> str:
    return next((each.id for each in reversed(world.all("release", ReleaseState)) if each.phase not in TERMINAL), "")
