"""Deaths at chosen calls of the story, over all cores; what each leaves behind is compared with the story that nobody died in."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any, NamedTuple

from tests.simulation.fuse import Fuse
from tests.simulation.reader import Violated
from tests.simulation.stories import Story

CHUNK = 10


class Death(NamedTuple):
    """Where controllers die in one telling."""

    call: int
    """Of the first controller: number of its writing call."""
    after: bool
    again: int = 0
    """Of the one that comes after it, counted from its own start; 0: it lives."""
    tears: bool = False


@cache
def untouched() -> tuple[dict[str, Any], tuple[str, ...]]:
    """(what is left behind, names of all writing calls) when nobody dies."""
    fuse = Fuse()
    return Story(fuse).tell(), tuple(fuse.names)


def die_all(deaths: Sequence[Death]) -> list[str]:
    """What was wrong after each that did not end as the untouched story."""
    chunks = [deaths[start : start + CHUNK] for start in range(0, len(deaths), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        return [words for chunk in pool.map(_die_some, chunks) for words in chunk if words]


def _die_some(deaths: Sequence[Death]) -> list[str]:
    return [_die(death) for death in deaths]


def _die(death: Death) -> str:
    expected, names = untouched()
    fuses = [Fuse({death.call}, after=death.after)]
    if death.again:
        fuses.append(Fuse({death.again}, after=death.after))
    story, where = Story(*fuses, tears=death.tears), f"{death} ({names[death.call - 1]})"
    try:
        found = story.tell()
    except (Violated, Exception) as fault:  # noqa: BLE001 - told with its place, and the others are tried
        return f"{where}: {type(fault).__name__}: {fault}"
    if story.started < 2:
        return f"{where}: nobody died"
    different = [part for part, value in expected.items() if found[part] != value]
    return f"{where}: other {different}" if different else ""
