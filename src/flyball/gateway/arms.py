"""Which keys the arms of an experiment answer, so that a change of one weight moves no key from one arm to another: half of the customers of an arm that is
left as it is would be others from that day on, and nothing measured before could be compared."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from flyball.records.routing import Places

_WHOLE = 2**64
"""Places of keys are whole numbers below it."""


class ArmKeys:
    """Of one experiment. Each arm has a slot of the keys, all slots of one size, and grows from its beginning; an arm that is larger than its slot takes what is
    left at the end of the next one, where its owner comes last. What no arm has is the champion's, and what an arm gives or takes is the champion's too,
    unless two arms are larger than their slots. One arm has all keys for its slot."""

    def __init__(self, weights: Sequence[float], salt: str) -> None:
        """`weights`: shares of keys in [0, 1], together no more than 1."""
        self._all = range(len(weights) + 1)
        self._places = Places(salt)
        spans = sorted(_spans([math.ceil(weight * _WHOLE) for weight in weights]))
        self._starts = [low.to_bytes(8, "big") for low, _ in spans]
        self._owners = [owner for _, owner in spans]

    def divided(self, keys: Sequence[str], rows: Sequence[int]) -> list[list[int]]:
        """Those of `rows` that each arm answers, and behind them the champion's."""
        of, starts, owners = self._places.of, self._starts, self._owners
        found: list[list[int]] = [[] for _ in self._all]
        for at in rows:
            found[owners[bisect_right(starts, of(keys[at])) - 1]].append(at)
        return found


def _spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(its first place, whose it is) of each span; the champion's number is the first behind the arms'."""
    n = len(sizes)
    bounds = [at * _WHOLE // n for at in range(n + 1)]
    lows, highs = bounds[:-1], bounds[1:]  # of what is free in each slot
    spans: list[tuple[int, int]] = []
    beyond: list[int] = []
    for arm, size in enumerate(sizes):
        own = min(size, highs[arm] - lows[arm])
        spans += [(lows[arm], arm)] if own else []
        lows[arm] += own
        beyond.append(size - own)
    for arm in range(n):
        for slot in (each % n for each in range(arm + 1, arm + n)):
            part = min(beyond[arm], highs[slot] - lows[slot])
            highs[slot] -= part
            beyond[arm] -= part
            spans += [(highs[slot], arm)] if part else []
    return spans + [(low, n) for low, high in zip(lows, highs, strict=True) if low < high]
