"""What the gateway must show, held against what was measured."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table


class Bar(NamedTuple):
    """One promise and the figure for it."""

    what: str
    found: float
    wanted: float
    least: bool
    """`wanted` is the least allowed; else the most."""
    unit: str = ""
    noisy: bool = False
    """Others used the machine in at least half of the cells behind it."""

    @property
    def verdict(self) -> str:
        """No figure is never a pass."""
        if math.isnan(self.found):
            return "not measured"
        met = self.found >= self.wanted if self.least else self.found <= self.wanted
        return "met" if met else "MISSED"

    def document(self) -> dict[str, object]:
        found = None if math.isnan(self.found) else self.found
        return {"what": self.what, "found": found, "wanted": self.wanted, "verdict": self.verdict, "noisy": self.noisy}

    def words(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.least else "≤"
        found = "–" if math.isnan(self.found) else f"{brief(self.found)}{self.unit}"
        return self.what, found + (" ~" if self.noisy else ""), f"{sign} {brief(self.wanted)}{self.unit}", self.verdict


def brief(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def above(busy: Sequence[float], calm: Sequence[float]) -> float:
    """By what share, in the median of paired rounds."""
    return float(np.median(np.array(busy) / np.array(calm))) - 1


def promises(bars: Sequence[Bar]) -> Table:
    table = Table("promise", "found", "wanted", "", box=None, pad_edge=False)
    for bar in bars:
        table.add_row(*bar.words())
    return table
