"""What is watched of a unit for as long as it is champion. One that answers again is watched anew, as its findings stand from then on."""

from flyball.control.world import World, put
from flyball.records.events import Put
from flyball.records.release import Champion


def puts_of(world: World, champion: Champion) -> tuple[Put, ...]:
    """The champion from now on, and what was watched of it before taken away: goes into the transaction of what made it champion."""
    known, before, unit = put("champion", world.model, champion), world.get("champion", world.model, Champion), champion.unit
    if before is not None and (before.unit, before.since) == (unit, champion.since):
        return (known,)
    # Not `completions`: that says how well early labels tell what all will be, whoever is champion.
    past = (
        *_taken(world, "drift", unit), *_taken(world, "estimates", unit), *_taken(world, "performance", unit), *_taken(world, "concept", unit),
        *_taken(world, "slices", unit), *_taken(world, "declared", unit),
    )  # fmt: skip
    return (known, *past)


def _taken(world: World, kind: str, unit: str) -> tuple[Put, ...]:
    return () if world.ports.ledger.state(kind, unit) is None else (Put(kind, unit, None),)
