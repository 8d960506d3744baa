"""Causes in sentences."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.coding import Levels
from flyball.monitoring.edge_words import of_values
from flyball.stats import association

Ints = NDArray[np.int64]

PROVEN = 3.0
"""Standard errors by which the largest of a feature's moves is told as a move: in 2 % of features that did not move the largest of some 20 is so far."""
OTHERWISE = 5.0
"""Deviations of chance by which two features go together otherwise: simulated over pairs that went together as before, of which one moved or none: 1 in 420."""


def moved(levels: Sequence[Levels], lead: int, codes: tuple[Ints, Ints], partners: Sequence[int]) -> str:
    """What moved most in the feature `lead`, such as `31 % of rows are at least 40, in the reference 12 %`. Where that is within chance, with which of `partners` it
    goes together otherwise, as its part may come from that. `codes` (n_rows, n_features) of the reference and now."""
    before, now = codes
    told, far = _most(levels[lead], before[:, lead], now[:, lead])
    if far >= PROVEN:
        return told
    found = {
        j: association.goes_otherwise(before[:, [lead, j]], now[:, [lead, j]], [levels[lead].n, levels[j].n])
        for j in partners
        if j != lead
    }
    partner = max(found, key=lambda j: (found[j], -j), default=None)
    hardly = f"its own values hardly moved ({told})"
    if partner is None or found[partner] < OTHERWISE:
        return hardly
    return f"{hardly}; it goes together with {levels[partner].name} otherwise than in the reference (see joint drift)"


def _most(levels: Levels, before: Ints, now: Ints) -> tuple[str, float]:
    """The largest move, and how many standard errors of no move it has (two proportions, pooled)."""
    then = np.bincount(before[before >= 0], minlength=levels.n) / max(before.size, 1)
    new = np.bincount(now[now >= 0], minlength=levels.n) / max(now.size, 1)
    found = [(new[0], then[0], "are missing")]
    if levels.category:
        names = [*(f"are {name!r}" for name in levels.categories), "have a rare value"]
        found += list(zip(new[1:], then[1:], names, strict=True))
    else:
        written = of_values(levels.edges)
        above = [
            (new[k + 2 :].sum(), then[k + 2 :].sum(), f"are at least {written(edge)}") for k, edge in enumerate(levels.edges)
        ]
        below = [
            (new[1 : k + 2].sum(), then[1 : k + 2].sum(), f"are below {written(edge)}") for k, edge in enumerate(levels.edges)
        ]
        found += [up if up[0] >= up[1] else down for up, down in zip(above, below, strict=True)]
    share, was, what = max(found, key=lambda item: (abs(item[0] - item[1]), item[2]))
    pooled = (share * now.size + was * before.size) / max(now.size + before.size, 1)
    chance = math.sqrt(max(pooled * (1.0 - pooled), 0.0) * (1.0 / max(now.size, 1) + 1.0 / max(before.size, 1)))
    words = f"{percent(float(share))} of rows {what}, in the reference {percent(float(was))}"
    return words, abs(share - was) / chance if chance > 0.0 else 0.0


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
