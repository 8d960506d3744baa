"""How far the autopilot may go by itself, for each kind of action: a person's setting, and what it has lost since."""

from collections.abc import Mapping

ACT = "act"
PROPOSE = "propose"
OBSERVE = "observe"
LEVELS = (OBSERVE, PROPOSE, ACT)
"""From the least: it notes what it would have done; it asks a person each time; it acts."""


def level_of(action: str, configured: Mapping[str, str], most: Mapping[str, str]) -> str:
    """`configured`: in flyball.yaml. `most`: no more than this, until a person raises it. What neither names acts."""
    return min(configured.get(action, ACT), most.get(action, ACT), key=LEVELS.index)


def below(level: str) -> str:
    """One step less; below the least there is none."""
    return LEVELS[max(LEVELS.index(level) - 1, 0)]


def above(level: str) -> str:
    """One step more, at most ACT."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]
