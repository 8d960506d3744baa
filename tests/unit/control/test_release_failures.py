"""Failures of two units over stretches of time: error rates by simulation with a fixed seed."""

import numpy as np

from flyball.control.measuring import where_asked
from flyball.stats.two_proportions import rate_difference

PATHS, ALPHA = 60, 0.1
HOURS, HELD = 60, slice(10, 50)


def test_weeks_in_which_the_champion_was_alone_neither_hide_a_difference_nor_make_one() -> None:
    """A release of which one of five rows is asked of the challenger is held for forty hours, in which a third of all rows fail. At all looks together."""
    rng = np.random.default_rng(3)
    share = np.ones(HOURS)
    share[HELD] = 0.0
    rate = np.full(HOURS, 0.02)
    rate[HELD] = 0.33
    missed, missed_before = 0, 0
    for _ in range(PATHS):
        asked = np.full(HOURS, 400), (80 * share).astype(np.int64)
        failed = rng.binomial(asked[0], rate), rng.binomial(asked[1], rate + 0.03)
        looks = [(failed[0][:n], asked[0][:n], failed[1][:n], asked[1][:n]) for n in range(1, HOURS + 1, 4)]
        intervals = [rate_difference(*old, *new, ALPHA) for old, new in (where_asked(each[:2], each[2:]) for each in looks)]
        missed += any(not each.lower <= 0.03 <= each.upper for each in intervals)
        all_of_it = rate_difference(*(int(each.sum()) for each in looks[-1]), ALPHA)
        missed_before += not all_of_it.lower <= 0.03 <= all_of_it.upper
    assert missed / PATHS <= ALPHA
    assert missed_before == PATHS, "summed over the whole release the champion looks worse by far"
