"""Deaths at chosen calls of the story, over all cores; what each leaves behind is compared with the story that nobody died in.

A process tells the story once, without a death. At the beginning of the turn in which one is wanted, a child goes on with a copy of the files and dies in
it: so a death costs only what comes after it.
"""

import multiprocessing
import os
import shutil
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulation.forks import Forks
from tests.simulation.fuse import Fuse
from tests.simulation.reader import FileSource
from tests.simulation.stories import Story, moved, tearing

FEWEST = 10
"""Deaths that are worth a process of their own."""


class Death(NamedTuple):
    """Where controllers die in one telling."""

    call: int
    """Of the first controller: number of its writing call."""
    after: bool
    again: int = 0
    """Of the one that comes after it, counted from its own start; 0: it lives."""
    tears: bool = False


class Whole(NamedTuple):
    """The story that nobody died in."""

    left: dict[str, Any]
    names: tuple[str, ...]
    """Of all writing calls."""
    turns: tuple[int, ...]
    """Calls that were made before each turn of the controller."""


@cache
def untouched() -> Whole:
    fuse = Fuse()
    story = Story(fuse)
    return Whole(story.tell(), tuple(fuse.names), tuple(story.turns))


def die_all(deaths: Sequence[Death]) -> list[str]:
    """What was wrong after each that did not end as the untouched story."""
    several = max(1, min(os.cpu_count() or 1, len(deaths) // FEWEST))
    with ProcessPoolExecutor(several, multiprocessing.get_context("spawn")) as pool:
        # Every so manieth: each has early deaths, which cost the most, and late ones.
        shares = list(pool.map(_die_some, [deaths[first::several] for first in range(several)]))
    words = [shares[number % several][number // several] for number in range(len(deaths))]
    return [each for each in words if each]


def _die_some(deaths: Sequence[Death]) -> list[str]:
    """Of each what was wrong, or nothing."""
    expected, names, _ = untouched()
    story = _Branched(deaths)

    def told() -> str:
        found = story.tell()
        if story.forks.is_child and story.started < 2:
            return "nobody died"
        different = [part for part, value in expected.items() if found[part] != value]
        return f"other {different}" if different else ""

    words = story.forks.tell(told)
    assert words == "", f"told by whom nobody dies: {words}"
    all_of_them = [(death, story.forks.told.get(death, "nobody died")) for death in deaths]
    return [words and f"{death} ({names[death.call - 1]}): {words}" for death, words in all_of_them]


class _Branched(Story):
    """Nobody dies in it, but for its children: one for each death, made before the turn in which it comes."""

    def __init__(self, deaths: Sequence[Death]) -> None:
        super().__init__(Fuse())
        self.forks = Forks()
        self._due: defaultdict[int, list[Death]] = defaultdict(list)
        for death in deaths:
            self._due[bisect_left(untouched().turns, death.call) - 1].append(death)
        self._inherited: list[Any] = []

    def _turns(self) -> None:
        # Here no transaction is open, and between two turns every file is whole.
        assert self._directory is not None
        elsewhere = self._directory.with_name(f"{self._directory.name}-branch")
        for death in self._due[len(self.turns)]:
            if self.forks.branch(death):
                self._move(elsewhere)
                self._die(death)
                break
            shutil.rmtree(elsewhere, ignore_errors=True)  # of a child that could not do so itself
        super()._turns()

    def _move(self, directory: Path) -> None:
        """Everybody goes on with a copy of the files. What was open stays so, and nobody uses it: SQLite's files may not cross a fork."""
        shutil.copytree(self._directory, directory, ignore=shutil.ignore_patterns("*-shm"))
        self._directory = directory
        assert isinstance(self._source, FileSource)
        self._inherited.append(self._source._connection)
        self._source.__init__(directory)
        for ledger in (self.ledger, *self._opened):
            self._inherited.append(moved(ledger, directory))

    def _die(self, death: Death) -> None:
        self._tears = death.tears
        (process,) = self.processes
        process.fuse.deaths, process.fuse.after = {death.call}, death.after
        if death.tears:
            process.fuse.instead = tearing(process._ledger)
        if death.again:
            self._fuses = [Fuse({death.again}, after=death.after)]
