"""Causes in sentences."""

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.coding import Levels
from flyball.monitoring.edge_words import of_values

Ints = NDArray[np.int64]


def moved(levels: Levels, before: Ints, now: Ints) -> str:
    """What moved most in a feature, such as `more rows from 40 (31 %, in the reference 12 %)`."""
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
    return f"{percent(float(share))} of rows {what}, in the reference {percent(float(was))}"


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
