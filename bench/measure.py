"""Two things measured in turn, so that what else happens on the machine falls on both."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Sample = Callable[[], float]
"""Does its work once and answers what it took, in the unit of its row."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    subject: str
    unit: str
    ours: float
    floor: float
    floor_is: str
    ratio: float
    """Of times: ours over the floor's; of rates: the floor's over ours. Either way 1 is the floor, and less cost is better."""
    rounds: int


def interleaved(subject: str, unit: str, ours: Sample, floor: tuple[str, Sample], rounds: int = 5) -> Row:
    """Medians over rounds. The ratio is the median of the rounds' own ratios: neighbours in time saw the same machine."""
    floor_is, floor_sample = floor
    pairs: list[tuple[float, float]] = []
    ours(), floor_sample()  # warm: caches, imports, the first growth of arrays
    for number in range(rounds):
        # Each goes first in every other round: who comes second finds warm caches, or a clock that has gone down.
        if number % 2:
            pairs.append((ours(), floor_sample()))
        else:
            second = floor_sample()
            pairs.append((ours(), second))
    rate = unit.endswith("/s")
    ratios = [b / a if rate else a / b for a, b in pairs]
    first, second = zip(*pairs, strict=True)
    return Row(subject, unit, statistics.median(first), statistics.median(second), floor_is, statistics.median(ratios), rounds)
