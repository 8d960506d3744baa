"""What the answers of a release earned, in the order in which it became known: later looks only append."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.control.release_tally import Matched


class Rewards(NamedTuple):
    """All (n,)."""

    values: npt.NDArray[np.float64]
    challengers: npt.NDArray[np.bool_]
    """Whether the challenger earned it."""
    looks: npt.NDArray[np.int64]
    """The look at which it was known first, ascending: those of one look are compared with one another."""


class RewardLog:
    """Of one release at a time."""

    def __init__(self) -> None:
        self._release = ""
        self._known: set[str] = set()
        self._rows: list[tuple[float, bool, int]] = []
        self._look = 0

    def extend(self, release: str, matched: Matched, rewards: Mapping[str, tuple[int, float]]) -> Rewards:
        """All so far, with what was not known before at the end. `rewards`: prediction id → (received, what it earned)."""
        if release != self._release:
            self._release, self._known, self._rows, self._look = release, set(), [], 0
        # By name where they came together, never by what they earned: a bet must not guess the next one from the last.
        fresh = sorted(
            (rewards[each][0], each, rewards[each][1], bool(challenger))
            for each, challenger in zip(matched.ids, matched.challengers, strict=True)
            if each in rewards and each not in self._known
        )
        if fresh:
            self._look += 1
            self._known.update(each for _, each, _, _ in fresh)
            self._rows.extend((reward, challenger, self._look) for _, _, reward, challenger in fresh)
        return Rewards(
            np.array([row[0] for row in self._rows], dtype=np.float64),
            np.array([row[1] for row in self._rows], dtype=np.bool_),
            np.array([row[2] for row in self._rows], dtype=np.int64),
        )
