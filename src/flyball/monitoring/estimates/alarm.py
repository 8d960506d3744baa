"""An alarm before any label: evidence, from estimates alone, that the expected loss has risen by more than is tolerated.

A window gives the lower end of its estimated increase (one-sided 95 %). Null hypothesis: given the past, its expectation is at most the tolerance. Bets
against it make a Shiryaev–Roberts e-detector, as in `monitoring.performance`: mean run length at least the budget's without harm, unless the
reference was drawn too kind (chance 5 %: all windows share it). Covariate shift is assumed: a model that fails because features mean
something else is found by labels, not here.
"""

import hashlib
from typing import NamedTuple

import msgspec

from flyball.monitoring.drift import finding_id
from flyball.monitoring.estimates.estimate import Estimates
from flyball.monitoring.estimates.parts import LOSS
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import edetector

ONE_SIDED = 1.644854
"""95 % point of the normal distribution."""
LEAST_SPREAD = 0.01
"""Increases below minus the usual spread count as that: a bet may then be larger. Not smaller than this, where windows hardly differ."""
CLIPPED = 0.0834
"""What cutting a normal variable one standard deviation below its mean adds to the mean, in standard deviations: φ(1) − Φ(−1)."""
REMEMBERED = 200


class Step(msgspec.Struct, frozen=True, kw_only=True):
    window: str
    increase: float
    lower: float


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version since it became champion."""

    detectors: tuple[float, ...] = edetector.start(len(edetector.BET_FRACTIONS))
    past: tuple[Step, ...] = ()
    windows: int = 0
    alarms: int = 0


class Allowance(NamedTuple):
    run_length: float
    """Windows: least mean time between false alarms."""
    share_of_budget: float
    tolerance: float
    """Increase of the mean bounded loss that is not worth an alarm."""


class AlarmReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: AlarmState


def judge(state: AlarmState, found: Estimates, window: Window, allowance: Allowance) -> AlarmReading:
    """Judge one window's estimates, once and in order. Void estimates move nothing."""
    if found.increase is None or any(step.window == window.id for step in state.past):
        return AlarmReading(findings=(), state=state)
    increase = found.increase
    spread = max(increase.usual, ONE_SIDED * increase.deviation, LEAST_SPREAD)
    limit = allowance.tolerance + CLIPPED * spread
    lower = increase.value - ONE_SIDED * increase.deviation
    bets = edetector.mean_bets(max(lower, -spread), limit, -spread)
    detectors = tuple(float(f"{value:.8g}") for value in edetector.advance(state.detectors, bets))
    step = Step(window=window.id, increase=increase.value, lower=float(f"{lower:.8g}"))
    moved = AlarmState(
        detectors=detectors, past=(*state.past, step)[-REMEMBERED:], windows=state.windows + 1, alarms=state.alarms
    )
    if edetector.level(detectors) < allowance.run_length:
        return AlarmReading(findings=(), state=moved)
    fresh = msgspec.structs.replace(moved, detectors=edetector.start(len(edetector.BET_FRACTIONS)), alarms=state.alarms + 1)
    return AlarmReading(findings=(_finding(moved, found, window, allowance),), state=fresh)


def _finding(state: AlarmState, found: Estimates, window: Window, allowance: Allowance) -> Finding:
    latest, loss = state.past[-1], found.metrics[LOSS]
    evidence = Evidence(
        name="estimated_harm_detector",
        value=round(edetector.level(state.detectors), 3),
        n=state.windows,
        unit="windows",
        since=window.start,
        until=window.end,
        method="betting on lower ends of the estimated increase, Shiryaev–Roberts e-detector (arXiv 2203.03532)",
        inputs=hashlib.sha256(repr(state.past).encode()).hexdigest(),
        note=f"mean run length at least {allowance.run_length:g} windows without harm, unless the reference was drawn too kind (chance 0.05); "
        "assumes that features mean what they meant",
    )
    return Finding(
        id=finding_id(FindingKind.ESTIMATED_PERFORMANCE, window, LOSS),
        kind=FindingKind.ESTIMATED_PERFORMANCE,
        model=window.model,
        unit=window.unit,
        subject="loss",
        window_start=window.start,
        window_end=window.end,
        effect=round(latest.increase, 6),
        effect_unit="estimated increase of the mean bounded loss",
        evidence=evidence,
        share_of_budget=allowance.share_of_budget,
        words=f"without labels: mean loss estimated at {loss.value:.4f} ({loss.lower:.4f} to {loss.upper:.4f}), {latest.increase:+.4f} against the reference "
        f"and by {latest.lower:+.4f} at least, more than {allowance.tolerance:g} tolerated",
        harm=round(latest.increase, 6),
    )
