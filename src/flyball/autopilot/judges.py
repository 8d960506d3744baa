"""Which of the newest windows judge what a tournament trains: nobody learns from them before. The fewer, the newer is what was learned from."""

from collections.abc import Sequence

ROWS = 200
"""A mean difference of Brier scores is then known to ±0.015 or so."""
OF_CLASSES = 10
"""Rows of the commonest class, and of all others: of a rare class by which models differ some must have come, and of one class alone nothing is learnt of them."""
WINDOWS = 4
"""From so many on their spread says what differs from day to day (autopilot/tournament.py)."""
SHARE = 20
"""Of the windows one in so many at most: where the world moves, entrants lose by what they have not learned from (bench/loop)."""


def judging(rows: Sequence[int], uncommon: Sequence[int] | None = None) -> int:
    """How many of the newest windows judge.

    `rows`: of each window that has any, the newest first; `uncommon`: those of them that are not of the commonest class, None: there are no classes.

    >>> judging([800] * 30), judging([800] * 365), judging([30] * 365), judging([30, 50])
    (1, 4, 7, 2)
    >>> judging([800] * 30, [5] * 30), judging([300] * 30, [300] + [140] * 29)
    (2, 2)
    """
    count = max(1, min(WINDOWS, len(rows) // SHARE))
    while count < len(rows) and not _enough(rows[:count], uncommon and uncommon[:count]):
        count += 1
    return count


def _enough(rows: Sequence[int], uncommon: Sequence[int] | None) -> bool:
    if uncommon is not None and min(sum(uncommon), sum(rows) - sum(uncommon)) < OF_CLASSES:
        return False
    return sum(rows) >= ROWS
