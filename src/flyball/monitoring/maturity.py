"""When a window's labels are enough to be judged by: after the declared delay, or after the one that was learned."""

import math
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring.delays import Delays, age_at, place_of, shared_luck, usual_age
from flyball.monitoring.policy import MonitorPolicy

LATE = 1.0 / 16_000
"""Chance, over all that a window is looked at by, that its labels are said to come otherwise than learned when they do not. Where days share their luck it holds for
a spread that is known: it is learned from some tens of days, and about one window in 500 is said to (simulated)."""
PAUSE = 0.25
"""Of a window's length: labels that came later than declared, or than learned, by more than that are an import, or a delay that is longer than known; when none
has come for so long, they count as all that come."""
MICROSECOND = timedelta(microseconds=1)
Ints = npt.NDArray[np.int64]


class Maturity(msgspec.Struct, frozen=True, kw_only=True):
    """How far a window's labels have come."""

    mature: bool
    by: Literal["complete", "delay", "learned", "share", "none"]
    """What decided: all labels are here; the declared delay; the learned one; the bare share of labels; nothing to judge."""
    come: float | None = None
    """Of the labels that will come, the share that has, for the slowest kind of label; None: unknown."""
    come_lower: float | None = None
    """Its lower end (error 2.5 %), less what may come after everything known."""
    expected: int | None = None
    """Labels that the window will have in the end."""
    ripe_at: datetime | None = None
    """When it will be mature, as far as known."""
    words: str = ""


def is_mature(
    predictions: int, labels: int, window_end: datetime, now: datetime, policy: MonitorPolicy, delays: Delays | None = None
) -> bool:
    """Whether the labels that will come have come: the window is over, and all are here, or the label delay has passed since its end.

    Early labels are not a sample of all labels (a flight that never arrives is labelled last), so an immature window is never compared with anything.
    A window without any label is never mature: there is nothing to judge.
    """
    return maturity(predictions, labels, window_end, now, policy, delays).mature


def maturity(
    predictions: int, labels: int, window_end: datetime, now: datetime, policy: MonitorPolicy, delays: Delays | None = None
) -> Maturity:
    """`labels` of `predictions` are here. With a declared delay `delays` only tell how far they are; without one they decide, and where nothing is
    learned yet the bare share of labels has to do."""
    if predictions <= 0 or labels <= 0 or now < window_end:
        return Maturity(mature=False, by="none", words=f"{labels} labels of {predictions} predictions: nothing to judge")
    known = _learned(predictions, labels, window_end, now, policy, delays) if delays is not None and delays.reach else None
    if labels >= predictions:
        return Maturity(
            mature=True, by="complete", come=1.0, come_lower=1.0, expected=labels, words="every prediction has its label"
        )
    if policy.label_delay is not None:
        told = known or Maturity(mature=False, by="delay", words=f"mature after the declared delay of {policy.label_delay}")
        over = window_end + policy.label_delay
        return msgspec.structs.replace(told, mature=now >= over, by="delay", ripe_at=over)
    if known is not None:
        return known
    enough = labels >= policy.mature_share * predictions
    words = f"{labels} of {predictions} predictions have labels, {policy.mature_share:.0%} wanted: their delay is not learned yet"
    return Maturity(mature=enough, by="share", words=words)


def off_by_chance(variance: float, looks: int = 1) -> float:
    """How many labels more or fewer than expected are no wonder, at chance LATE over so many looks. Counts of rare things are skewed: a Poisson count's tail is that
    of a normal deviate z moved by (z² − 1) / 6 (Cornish & Fisher 1938), and half a label more, since it is whole."""
    z = -NormalDist().inv_cdf(LATE / looks / 2.0)
    return z * math.sqrt(variance) + (z * z - 1.0) / 6.0 + 0.5


def delay_of(policy: MonitorPolicy, delays: Delays | None) -> timedelta:
    """Declared, or learned: the age at which nearly all labels have come. Nothing where neither is known."""
    if policy.label_delay is not None:
        return policy.label_delay
    learned_us = None if delays is None else usual_age(delays, policy.mature_share)
    return (learned_us or 0) * MICROSECOND


def quiet_us(at_us: Ints, received_us: Ints, policy: MonitorPolicy, delays: Delays | None = None) -> int:
    """From when on a window's labels have ceased to come later than declared or learned, but for as many as `mature_share` leaves out; 0: none do. It takes no
    clock, so that a restart finds the same.

    `at_us`, `received_us`: of its rows, (n,), when each was answered and when its label came; -1: none has.
    """
    pause = PAUSE * policy.window
    late = np.sort(received_us[received_us - at_us > (delay_of(policy, delays) + pause) // MICROSECOND])
    few = int((1.0 - policy.mature_share) * np.count_nonzero(received_us >= 0))
    return 0 if late.size <= few else int(late[-1 - few]) + pause // MICROSECOND


def _learned(
    predictions: int, labels: int, window_end: datetime, now: datetime, policy: MonitorPolicy, delays: Delays
) -> Maturity:
    place = int(place_of((now - window_end) // MICROSECOND, delays))
    slowest = min((part.curve for part in delays.parts if part.score < 0), key=lambda curve: curve.lower[place])
    lower = slowest.lower[place] / (1.0 + delays.tail)
    ripe_us = age_at(delays, policy.mature_share)
    here, awaited = delays.come.share[place] * predictions, round(delays.ever * predictions)
    most = off_by_chance(_variance(predictions, place, delays))
    missing = labels < here - most
    words = f"{labels} of about {awaited} labels are here; of the slowest kind {slowest.share[place]:.0%} of those that will come (at least {lower:.0%})"
    if missing:
        words = f"{labels} labels are here and {here:.0f} were expected by now (± {most:.0f}): they come otherwise than learned"
    return Maturity(
        mature=lower >= policy.mature_share and not missing,
        by="learned",
        come=slowest.share[place],
        come_lower=float(f"{lower:.6g}"),
        expected=max(awaited, labels),
        ripe_at=None if ripe_us is None else window_end + ripe_us * MICROSECOND,
        words=words,
    )


def _variance(predictions: int, place: int, delays: Delays) -> float:
    """Of the number of labels by then: rows that share their luck, and the curve's own error."""
    share = delays.come.share[place]
    own = share * (1.0 - share) * predictions * float(shared_luck(delays, place, predictions, predictions))
    half = predictions * (delays.come.upper[place] - delays.come.lower[place]) / 4.0
    return own + half**2
