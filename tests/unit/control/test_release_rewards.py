"""Rewards stand in the order in which they became known, and what was looked at stays."""

import numpy as np

from flyball.control.release_tally import Calls, Matched
from flyball.control.rewards import RewardLog


def matched(*ids: str) -> Matched:
    n = len(ids)
    arms = np.array([each.startswith("b") for each in ids], dtype=np.bool_)
    none = np.zeros(0)
    return Matched(np.zeros(n, dtype=np.int64), arms, np.zeros(n), ids, Calls(none.astype(np.int64), none.astype(np.bool_), none))


def test_rewards_and_answers_may_come_in_any_order_and_each_counts_once() -> None:
    log, rewards = RewardLog(), {"b1": (5, 1.0), "a1": (5, 0.0)}
    assert log.extend("r-1", matched("a1"), rewards).values.tolist() == [0.0]
    assert log.extend("r-1", matched("a1", "b1", "a1"), rewards).values.tolist() == [0.0, 1.0]
    rewards["a2"] = (7, 0.5)
    seen = log.extend("r-1", matched("a1", "b1", "a1", "a2"), rewards)
    assert (seen.values.tolist(), seen.challengers.tolist()) == ([0.0, 1.0, 0.5], [False, True, False])
    assert seen.looks.tolist() == [1, 2, 3]
    assert log.extend("r-2", matched("a2"), rewards).values.tolist() == [0.5]


def test_what_came_together_is_not_ordered_by_what_it_earned() -> None:
    rewards = {"a1": (5, 1.0), "a2": (5, 0.0), "a3": (5, 0.5)}
    assert RewardLog().extend("r-1", matched("a3", "a2", "a1"), rewards).values.tolist() == [1.0, 0.0, 0.5]


def test_a_row_counts_once_it_is_old_enough_though_its_reward_came_at_once() -> None:
    log, rows, rewards = RewardLog(), matched("a1", "b1", "a2"), {"b1": (5, 1.0), "a2": (6, 0.5)}
    assert log.extend("r-1", rows, rewards, 1).values.tolist() == []
    assert log.extend("r-1", rows, rewards, 2).values.tolist() == [1.0]
    rewards["a1"] = (9, 0.25)
    assert log.extend("r-1", rows, rewards, 3).values.tolist() == [1.0, 0.5, 0.25]
