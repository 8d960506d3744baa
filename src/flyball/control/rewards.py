"""What the answers of a release earned, in the order in which it became known: later looks only append."""

from collections.abc import Mapping
from itertools import islice
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
        self._arms: dict[str, bool] = {}
        """Prediction id → whether the challenger answered it."""
        self._met, self._seen = 0, 0
        """Matched rows and rewards that were looked at."""
        self._rewards: Mapping[str, tuple[int, float]] = {}
        """As they were handed in last."""
        self._known: set[str] = set()
        self._all = _nothing()
        self._look = 0

    def extend(
        self, release: str, matched: Matched, rewards: Mapping[str, tuple[int, float]], mature: int | None = None
    ) -> Rewards:
        """All so far, with what was not known before at the end. `rewards`: prediction id → (received, what it earned). `mature`: so many of the matched
        rows, the first ones, are old enough to count: of those who buy at once alone two units look otherwise than of all. None: all."""
        if release != self._release:
            self._release, self._arms, self._known, self._all = release, {}, set(), _nothing()
            self._met, self._seen, self._look = 0, 0, 0
        if rewards is not self._rewards:  # some were forgotten, so that places in it mean nothing any more
            self._rewards, self._seen = rewards, 0
        until = max(len(matched.ids) if mature is None else mature, self._met)
        met = matched.ids[self._met : until]
        for each, challenger in zip(met, matched.challengers[self._met : until].tolist(), strict=True):
            self._arms.setdefault(each, challenger)  # an id that was asked twice was answered first
        self._met = until
        told = islice(rewards, self._seen, None)  # a reward that is told again keeps its place
        usable = {each for each in met if each in rewards} | {each for each in told if each in self._arms}
        self._seen = len(rewards)
        # By name where they came together, never by what they earned: a bet must not guess the next one from the last.
        fresh = sorted((rewards[each][0], each, rewards[each][1], self._arms[each]) for each in usable - self._known)
        if fresh:
            self._look += 1
            self._known.update(each for _, each, _, _ in fresh)
            self._all = Rewards(
                np.concatenate([self._all.values, [reward for _, _, reward, _ in fresh]]),
                np.concatenate([self._all.challengers, [challenger for *_, challenger in fresh]]),
                np.concatenate([self._all.looks, np.full(len(fresh), self._look, dtype=np.int64)]),
            )
        return self._all


def _nothing() -> Rewards:
    return Rewards(np.zeros(0), np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64))
