"""What the runs say: losses relative to never retraining, regret, intervals, and which of the promises are met."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.loop.pilot import Answered
from bench.loop.runs import AUTOPILOT, EVERY, NEVER, NEWEST_BEST, Run
from bench.loop.streams import FIRST, Floats
from flyball.stats.dependence import autocorrelation_time
from flyball.stats.student import t_quantile

ALPHA = 0.05
MOST = 8
"""Retrainings that are promised to be enough."""
NEAR = 8
"""Blocks after a known change in which an alarm is put down to it."""


class Difference(NamedTuple):
    """Mean over blocks of one loss less another, relative to the loss of never retraining, with a 95 % interval."""

    mean: float
    lower: float
    upper: float


class Row(NamedTuple):
    """One stream at one delay, means over seeds."""

    stream: str
    delay: int
    never: float
    """Mean loss."""
    relative: dict[str, float]
    """Way of governing → loss over that of never retraining."""
    oracle: float
    """With as many retrainings as the autopilot had occasions."""
    oracle_of_most: float
    """With MOST of them."""
    fits: dict[str, float]
    occasions: dict[str, float]
    minutes: dict[str, float]
    most_occasions: int
    """Of the autopilot, at any seed."""
    changes: float
    recalibrations: float
    against_never: Difference
    against_every: Difference

    def regret(self, way: str) -> float:
        """Loss lost against the oracle, relative to the oracle's."""
        return self.relative[way] / self.oracle - 1.0


def row(found: Sequence[Run]) -> Row:
    """Of the same stream and delay."""
    first = found[0]
    ways = [way for way in first.governed if all(way in run.governed for run in found)]
    base = [float(run.governed[NEVER].losses.mean()) for run in found]

    def mean(of: str, way: str) -> float:
        return float(np.mean([_count(run.governed[way], of) for run in found]))

    return Row(
        stream=first.stream,
        delay=first.delay,
        never=float(np.mean(base)),
        relative={way: _relative(found, base, way) for way in ways},
        oracle=float(np.mean([run.oracle[run.governed[AUTOPILOT].occasions] / b for run, b in zip(found, base, strict=True)])),
        oracle_of_most=float(np.mean([min(run.oracle[: MOST + 1]) / b for run, b in zip(found, base, strict=True)])),
        fits={way: mean("fits", way) for way in ways},
        occasions={way: mean("occasions", way) for way in ways},
        minutes={way: float(np.mean([run.seconds[way] for run in found])) / 60.0 for way in ways},
        most_occasions=max(run.governed[AUTOPILOT].occasions for run in found),
        changes=mean("changes", AUTOPILOT),
        recalibrations=mean("recalibrations", AUTOPILOT),
        against_never=difference(found, base, NEVER),
        against_every=difference(found, base, EVERY),
    )


def difference(found: Sequence[Run], base: Sequence[float], other: str) -> Difference:
    """The autopilot's loss less that of `other`. Seeds share their rows, so blocks are averaged over them first; the error counts their autocorrelation."""
    blocks = np.mean(
        [(run.governed[AUTOPILOT].losses - run.governed[other].losses) / b for run, b in zip(found, base, strict=True)], axis=0
    )
    n = blocks.size
    worth = max(n / autocorrelation_time(blocks), 3.0)
    half = t_quantile(1.0 - ALPHA / 2.0, max(int(worth) - 1, 2)) * float(blocks.std(ddof=1)) / math.sqrt(worth)
    middle = float(blocks.mean())
    return Difference(middle, middle - half, middle + half)


def best_single(rows: Sequence[Row]) -> tuple[str, float]:
    """The baseline with the least mean regret over all streams and delays: in hindsight, but one for all."""
    ways = [way for way in rows[0].relative if way not in (AUTOPILOT, NEWEST_BEST) and all(way in each.relative for each in rows)]
    found = {way: float(np.mean([each.regret(way) for each in rows])) for way in ways}
    best = min(found, key=lambda way: found[way])
    return best, found[best]


class Detection(NamedTuple):
    """Of one way of governing over known changes."""

    seen: int
    changes: int
    delay: float
    """Mean blocks from the change to the end of the block that told; NaN: none was seen."""
    false_alarms: int
    """Before the first change."""
    blocks: int
    """Before the first change, over which they were counted."""


def detection(found: Sequence[Run], way: str) -> Detection:
    delays, changes, false, quiet = [], 0, 0, 0
    for run in found:
        alarms = np.array(run.governed[way].alarms) + run.delay  # an alarm about mature blocks is told so much later
        known = [change for change in run.changes if change > FIRST]
        changes += len(known)
        for change in known:
            after = alarms[(alarms > change) & (alarms <= change + run.delay + NEAR)]
            delays += [float(after[0] - change)] if after.size else []
        if known:
            false += int(np.count_nonzero(alarms <= known[0]))
            quiet += max(int(known[0]) - FIRST, 0)
    return Detection(len(delays), changes, float(np.mean(delays)) if delays else math.nan, false, quiet)


def _relative(found: Sequence[Run], base: Sequence[float], way: str) -> float:
    return float(np.mean([run.governed[way].losses.mean() / b for run, b in zip(found, base, strict=True)]))


def _count(answered: Answered, of: str) -> float:
    value = getattr(answered, of)
    return float(len(value) if isinstance(value, tuple) else value)


def mae(run: Run, losses: Floats) -> float:
    """Mean absolute error in the label's unit (errors beyond `scale` count as it)."""
    return float(losses.mean()) * run.scale
