"""Do the labels that come late agree with what was estimated? Where they do not, what features mean has changed, and estimates are void.

Each mature window is a bet: its realised mean loss lies outside the estimate's 99 % interval with a chance of at most 1 % if estimates keep their word,
whatever the windows' dependence. The bets make a Shiryaev–Roberts e-detector (Shin, Ramdas & Rinaldo 2203.03532) whose
mean run length is at least RUN_LENGTH mature windows. The windows share one reference: unless it was drawn unluckily (chance 1 %).
Void lasts until the caller begins anew: with a new version, or when a person has seen it.
"""

import math
from typing import NamedTuple

import msgspec

from flyball.errors import DataError
from flyball.records.evidence import Evidence
from flyball.records.findings import RowLosses
from flyball.stats import edetector

RUN_LENGTH = 400.0
"""Mature windows until estimates that keep their word are called void, on average and at least. Two misses in a row suffice."""
MISS = 0.01
Z_MISS = 2.575829
WIDER = Z_MISS / 1.959964
"""From the 97.5 % to the 99.5 % point of the normal distribution: for windows that were estimated by a release that kept no 99 % interval."""


Ends = tuple[float, float]


class Labelled(NamedTuple):
    """The labels that speak for a window's rows."""

    losses: RowLosses
    rows: int
    """Of the window: the interval is that of the mean of all of them."""

    def deviation(self, spread: float) -> float:
        """Of the labels' mean around that of all rows: drawn without putting back."""
        return spread * math.sqrt(max(1.0 / max(self.losses.n, 1) - 1.0 / max(self.rows, 1), 0.0))


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version's estimates."""

    detectors: tuple[float, ...] = edetector.start(len(edetector.BET_FRACTIONS))
    judged: tuple[str, ...] = ()
    """Latest windows, so that none counts twice."""
    windows: int = 0
    misses: int = 0
    void: str = ""
    """Why estimates are not to be believed; empty: they are."""


REMEMBERED = 8
"""Windows mature in order, give or take those of a delay that hangs on the label."""


def learn(
    trust: Trust,
    window: str,
    estimated: Evidence,
    realised: float,
    loss_within: Ends | None = None,
    labelled: Labelled | None = None,
) -> Trust:
    """The state after one more mature window, in order. `estimated`: its `bounded_loss`; `realised`: mean bounded loss of its labels; `loss_within`: as
    `Estimates` has it, None: it was not kept; `labelled`: of whose labels it is the mean, None: all rows have one.

    A window that was void, or is known already, changes nothing.
    """
    within = interval_of(estimated, loss_within, labelled)
    if within is None or window in trust.judged or trust.void:
        return trust
    if not (math.isfinite(realised) and 0.0 <= realised <= 1.0):
        raise DataError(f"a realised mean loss of {realised}", expected="a number in [0, 1]")
    lower, upper = within
    missed = not lower <= realised <= upper
    bets = edetector.mean_bets(float(missed), MISS, 0.0)
    moved = tuple(float(f"{value:.8g}") for value in edetector.advance(trust.detectors, bets))
    why = ""
    if edetector.level(moved) >= RUN_LENGTH:
        why = (
            f"concept shift suspected: labels of {trust.misses + missed} of {trust.windows + 1} mature windows lay outside the estimate's 99 % interval, "
            f"last {realised:.4f} against {estimated.value:.4f} ({lower:.4f} to {upper:.4f})"
        )
    return Trust(
        detectors=moved,
        judged=(*trust.judged, window)[-REMEMBERED:],
        windows=trust.windows + 1,
        misses=trust.misses + missed,
        void=why,
    )


def interval_of(estimated: Evidence, loss_within: Ends | None = None, labelled: Labelled | None = None) -> Ends | None:
    """In which a realised mean loss is believed to lie; None: nothing was estimated. It is wider where labels are a part of the rows only."""
    if loss_within is None and not (estimated.value is None or estimated.lower is None or estimated.upper is None):
        lower, upper = (
            min(max(estimated.value + WIDER * (end - estimated.value), 0.0), 1.0) for end in (estimated.lower, estimated.upper)
        )
        loss_within = lower, upper
    if loss_within is None or labelled is None:
        return loss_within
    return _widened(loss_within, sum(loss_within) / 2.0 if estimated.value is None else estimated.value, labelled)


def _widened(within: Ends, value: float, labelled: Labelled) -> Ends:
    """By the luck of which rows have a label. Towards the nearer end of [0, 1] losses seem to differ least when the mean is off most (none of the rare large ones was
    drawn): there the largest spread stands that rows of such a mean can have."""
    n, most = labelled.losses.n, math.sqrt(max(value * (1.0 - value), 0.0))
    seen = labelled.losses.spread * math.sqrt(n / (n - 1.0)) if n > 1 else most
    below, above = (most, seen) if value <= 0.5 else (seen, most)
    lower = value - math.hypot(value - within[0], Z_MISS * labelled.deviation(below))
    upper = value + math.hypot(within[1] - value, Z_MISS * labelled.deviation(above))
    return max(min(lower, within[0]), 0.0), min(max(upper, within[1]), 1.0)
