"""Many worlds, over all cores."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.reader import Violated
from tests.simulation.world import Outcome, play

CHUNK = 25
"""Worlds that a process plays before it reports."""


class Failed(NamedTuple):
    """A world that did not hold."""

    seed: int
    words: str


class Tally(NamedTuple):
    """What all worlds together came to."""

    worlds: int
    failed: tuple[Failed, ...]
    entries: int
    controllers: int
    """That were started."""
    releases: int
    promoted: int
    rolled_back: int
    slowest_rest: int
    """Most steps until a world was at rest after its faults stopped."""

    @property
    def words(self) -> str:
        return (
            f"{self.worlds} worlds, {len(self.failed)} failed: {self.releases} releases ({self.promoted} promoted, {self.rolled_back} rolled back), "
            f"{self.entries} ledger entries, {self.controllers} controllers started, at rest after at most {self.slowest_rest} quiet steps"
        )


def play_all(seeds: range) -> Tally:
    """Every world of `seeds`, in any order."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    # Spawned: a fork would copy the threads' locks of whoever imported a numerical library.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        return tally(item for chunk in pool.map(play_some, chunks) for item in chunk)


def play_some(seeds: range) -> list[Outcome | Failed]:
    return [_play(seed) for seed in seeds]


def _play(seed: int) -> Outcome | Failed:
    try:
        return play(seed)
    except (Violated, Exception) as fault:  # noqa: BLE001 - whatever ends a world is told with its seed, and the others are played on
        return Failed(seed, f"{type(fault).__name__}: {fault}")


def tally(found: Iterator[Outcome | Failed]) -> Tally:
    all_of_them = list(found)
    whole = [item for item in all_of_them if isinstance(item, Outcome)]
    return Tally(
        worlds=len(all_of_them), failed=tuple(item for item in all_of_them if isinstance(item, Failed)),
        entries=sum(item.entries for item in whole), controllers=sum(item.processes for item in whole),
        releases=sum(item.releases for item in whole), promoted=sum(item.promoted for item in whole),
        rolled_back=sum(item.rolled_back for item in whole), slowest_rest=max((item.quiet_steps for item in whole), default=0),
    )  # fmt: skip
