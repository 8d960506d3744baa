"""How units are called wherever several are told of: those of one version are told apart by what they do with its scores, in one way everywhere."""

from collections import Counter
from collections.abc import Iterable

from flyball.control.units import threshold_of
from flyball.control.world import World
from flyball.records.unit import Unit


def unit_names(world: World) -> dict[str, str]:
    """Unit → what it is called."""
    return names_of(world.all("unit", Unit), threshold_of(world, binary=True))


def names_of(units: Iterable[Unit], declared: float | None) -> dict[str, str]:
    """`v1`, `v1 (map of 2024-02-05)`, `v1 (threshold 0.88)`; with its id, `v1 (u0123456789ab)`, what would have the name of another. `declared`: the threshold
    that goes without saying.
    """
    told = {unit.id: (unit.version, _name(unit, declared)) for unit in units}
    often = Counter(told.values())
    return {unit: name if often[version, name] == 1 else f"v{version} ({unit})" for unit, (version, name) in told.items()}


def with_id(name: str, version: int | None, unit: str) -> str:
    """Of one unit that is spoken of by itself: `version 1 (u0123456789ab)`, `version 1 (map of 2024-02-05, u0123456789ab)`. `name`: as above, or empty."""
    parts = dict.fromkeys(filter(None, (name.partition(" (")[2].removesuffix(")"), unit)))
    return f"version {'?' if version is None else version} ({', '.join(parts)})"


def _name(unit: Unit, declared: float | None) -> str:
    parts = []
    if unit.calibration is not None:
        until = unit.calibration.until
        parts.append("map" if until is None else f"map of {until:%Y-%m-%d}")
    if unit.threshold is not None and unit.threshold != declared:
        parts.append(f"threshold {_short(unit.threshold)}")
    return f"v{unit.version} ({', '.join(parts)})" if parts else f"v{unit.version}"


def _short(threshold: float) -> str:
    """In three digits; in as many more as it takes where those would be a threshold that lets everything through, or nothing."""
    told = (f"{threshold:.{digits}g}" for digits in range(3, 18))
    return next(words for words in told if float(words) == threshold or float(words) not in {0.0, 1.0})
