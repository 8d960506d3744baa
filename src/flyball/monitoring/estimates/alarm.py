"""An alarm before any label: evidence, from estimates alone, that the expected loss has risen by more than is tolerated.

A window gives its estimated increase, less its error (one-sided 95 %) or what is tolerated, whichever is more. Null hypothesis: the world is as in the
reference, so that this exceeds 0 by what windows differ anyway, a normal luck with the variance that blocks of the reference show (Student's t: they are
few). Less both, it would lie far below 0 without any harm, and harm would be seen later for nothing: instead an alarm waits for a window whose lower end
is beyond what is tolerated. Its normal score z is bet upon with exp(θz − θ²/2), whose mean is then 1, by a Shiryaev–Roberts e-detector: mean run length
at least the budget's without harm, unless the reference was drawn too kind (chance 5 %: all windows share it). Where the reference has no blocks of time
that luck is not known, and days that are merely bad may alarm. Covariate shift is assumed: a model that fails because features mean something else is
found by labels, not here.
"""

import hashlib
import math
from statistics import NormalDist

import msgspec

from flyball.monitoring.allowance import Allowance
from flyball.monitoring.drift import finding_id
from flyball.monitoring.estimates.estimate import Estimates, Increase
from flyball.monitoring.estimates.parts import LOSS
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import edetector, student

ONE_SIDED = 1.644854
"""95 % point of the normal distribution."""
RATES = (0.5, 1.0, 2.0, 3.0)
"""Best for a shift of as many standard deviations of a window's usual luck: the small ones find what lasts, the large ones a jump."""
LEAST_LUCK = 1e-4
"""Where neither blocks nor rows differ at all (a perfect model): less is rounding."""
LARGEST_SCORE = 6.0
"""Beyond it the normal law is a guess; it is an alarm in any case."""
REMEMBERED = 4
"""Windows, so that none counts twice: they come in order. The state is put whole at every window, and more would be the ledger's largest part."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    window: str
    increase: float
    lower: float


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version since it became champion."""

    detectors: tuple[float, ...] = edetector.start(len(RATES))
    past: tuple[Step, ...] = ()
    windows: int = 0
    alarms: int = 0


class AlarmReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: AlarmState


def judge(state: AlarmState, found: Estimates, window: Window, allowance: Allowance) -> AlarmReading:
    """Judge one window's estimates, once and in order. Void estimates move nothing."""
    if found.increase is None or any(step.window == window.id for step in state.past):
        return AlarmReading(findings=(), state=state)
    increase = found.increase
    lower = increase.value - ONE_SIDED * increase.deviation
    z = _normal_score(increase.value - max(ONE_SIDED * increase.deviation, allowance.tolerance), increase)
    bets = [math.exp(rate * z - rate * rate / 2.0) for rate in RATES]
    detectors = tuple(float(f"{value:.8g}") for value in edetector.advance(state.detectors, bets))
    step = Step(window=window.id, increase=increase.value, lower=float(f"{lower:.8g}"))
    moved = AlarmState(
        detectors=detectors, past=(*state.past, step)[-REMEMBERED:], windows=state.windows + 1, alarms=state.alarms
    )
    if edetector.level(detectors) < allowance.run_length or lower <= allowance.tolerance:
        return AlarmReading(findings=(), state=moved)
    fresh = msgspec.structs.replace(moved, detectors=edetector.start(len(RATES)), alarms=state.alarms + 1)
    return AlarmReading(findings=(_finding(moved, found, window, allowance),), state=fresh)


def begin_anew(state: AlarmState) -> AlarmState:
    """A person has seen an alarm: the detector begins with the next window."""
    return msgspec.structs.replace(state, detectors=edetector.start(len(RATES)))


def _normal_score(excess: float, increase: Increase) -> float:
    """Standard normal for a window like those of the reference, whose differences rest on few blocks."""
    luck = max(increase.usual * math.sqrt(1.0 + 1.0 / max(increase.blocks, 1)), increase.deviation, LEAST_LUCK)
    t = excess / luck
    if increase.blocks < 2:
        return max(min(t, LARGEST_SCORE), -LARGEST_SCORE)
    tail = student.t_upper_tail(t, increase.blocks - 1)
    least = NormalDist().cdf(-LARGEST_SCORE)
    return -NormalDist().inv_cdf(min(max(tail, least), 1.0 - least))


def _finding(state: AlarmState, found: Estimates, window: Window, allowance: Allowance) -> Finding:
    latest, loss = state.past[-1], found.metrics[LOSS]
    evidence = Evidence(
        name="estimated_harm_detector",
        value=round(edetector.level(state.detectors), 3),
        n=state.windows,
        unit="windows",
        since=window.start,
        until=window.end,
        method="betting on normal scores of the estimated increase's lower end, Shiryaev–Roberts e-detector (arXiv 2203.03532)",
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
        share_of_budget=allowance.share,
        words=f"without labels: mean loss estimated at {loss.value:.4f} ({loss.lower:.4f} to {loss.upper:.4f}), {latest.increase:+.4f} against the reference "
        f"and by {latest.lower:+.4f} at least, more than {allowance.tolerance:g} tolerated",
        harm=round(latest.increase, 6),
    )
