"""How much traffic a challenger is given while its reward is still being learnt.

Thompson sampling (Thompson 1933) gives each answer to the arm that a draw from the posterior prefers; over many keys that is a share equal to the chance
that the challenger is the better one, which is what a sticky split can follow. The posterior of each mean is taken as normal (its rewards are many and
bounded). The verdict does not rest on it: the guard's confidence sequences hold whatever the share was, as long as it was chosen from what came before.
"""

import math
from typing import NamedTuple

import msgspec

from flyball.release.policy import BanditRule

ROUNDED_TO = 0.05
"""Shares move in such steps: each move is a new routing table, and keys change sides."""
MIN_REWARDS = 30
"""Of each, before the share moves: a normal posterior of fewer is no posterior."""


class RewardSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Of one unit's answers."""

    n: int
    mean: float
    variance: float
    """Of single rewards."""


class Weighed(NamedTuple):
    weight: float
    words: str


def weight_of(rewards: tuple[RewardSeen, ...], rule: BanditRule) -> Weighed | None:
    """The challenger's share from (champion's, challenger's) rewards; None: too few are known.

    >>> from datetime import timedelta
    >>> rule = BanditRule(least=0.05, most=0.95, every=timedelta(hours=1))
    >>> same = RewardSeen(n=1000, mean=0.1, variance=0.09)
    >>> weight_of((same, same), rule).weight
    0.5
    """
    if len(rewards) != 2 or min(each.n for each in rewards) < MIN_REWARDS:
        return None
    old, new = rewards
    error = math.sqrt(old.variance / old.n + new.variance / new.n)
    ahead = new.mean - old.mean
    chance = 0.5 * math.erfc(-ahead / (error * math.sqrt(2.0))) if error > 0.0 else 0.5 + 0.5 * ((ahead > 0) - (ahead < 0))
    weight = min(max(round(chance / ROUNDED_TO) * ROUNDED_TO, rule.least), rule.most)
    words = f"the chance that it earns more is {chance:.1%} (champion {old.mean:.4g} over {old.n}, challenger {new.mean:.4g} over {new.n})"
    return Weighed(float(f"{weight:.6g}"), words)
