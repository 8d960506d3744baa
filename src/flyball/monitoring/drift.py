"""Has the world moved? Every feature and the predictions, for ever, under one false-alarm budget.

A window's score per stream (streams.score) → conformal p-value among the reference's calibration windows and all windows since → step bets →
Shiryaev–Roberts e-detector per stream → weighted e-d-BH over streams, whose names are the alarm.

What is promised: while a stream's windows are exchangeable with its calibration windows, its p-values are independent and uniform, and its detector
reaches c with a mean run length of at least c. Over streams the weighted average of the detectors inherits the bound; exactly when streams are judged
on their own pasts, closely otherwise (p-values of one stream are uniform given its own past; given the pasts of all they are so only approximately; the
simulations in the tests measure it). Windows that follow one another like neighbours (seasons, weather) are not exchangeable: that is drift, and it is
alarmed as drift. An alarm is told once: the stream then begins anew, and later windows are ranked among those since the alarm alone. So a lasting shift is
one finding, and the next one is a further move away from the reference.
"""

import hashlib

import msgspec

from flyball.monitoring import streams
from flyball.monitoring.drift_words import moved
from flyball.monitoring.policy import DRIFT_SHARE, MonitorPolicy
from flyball.monitoring.profile import Profile
from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import conformal, distances, edetector, multiple

REMEMBERED = 200
"""Window scores kept per stream. Beyond it the oldest go, and independence of the p-values is approximate."""
SHARE = 0.2
"""Of the bets' capital, redistributed at each window: the first drifted windows are best met by a bet on very small p-values, the later ones, ranked
among the first, by a larger one. Simulated mean delays at 26 calibration windows: 5.0 windows when drift is there from the first day, 3.3 after a month
without (without redistribution 5.1 and 3.4), for a slight shift 7.0 (8.3)."""
PREDICTION_WEIGHT = 0.2
"""Least share of the budget that the predictions have: what moves them matters most, and among a hundred features they would wait longest."""


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """One stream's detector."""

    detectors: tuple[float, ...] = edetector.start(len(edetector.STEP_LEVELS))
    past: tuple[float, ...] = ()
    """Scores of the windows judged so far, or since the last alarm; oldest first."""
    alarms: int = 0
    last_alarm: str = ""
    """Window at whose end it last fired. From there on the detector and what is normal began anew: the reference's calibration no longer counts."""


class DriftState(msgspec.Struct, frozen=True, kw_only=True):
    """All detectors of one unit since it became champion."""

    streams: dict[str, StreamState] = {}
    windows: int = 0
    """Judged so far."""
    last_window: str = ""
    """The same window judged again changes nothing."""


class DriftReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: DriftState
    distances: dict[str, float]
    """Stream → Jensen–Shannon distance to the reference, in [0, 1]; raw, for people."""
    note: str = ""
    """What was not tested, and why."""


def judge(reference: Reference, state: DriftState, profile: Profile, window: Window, policy: MonitorPolicy) -> DriftReading:
    """Judge one closed window. Windows are to come in order of time, each once: a second look at the last one changes nothing."""
    seen = tuple(stream for stream in reference.streams if sum(profile.counts.get(stream.name, ())) > 0)
    far = {stream.name: round(distances.js_distance(stream.counts, profile.counts[stream.name]), 6) for stream in seen}
    if window.id == state.last_window:
        return DriftReading(findings=(), state=state, distances=far, note="this window was judged before")
    if profile.rows < policy.min_rows:
        note = f"{profile.rows} rows are fewer than min_rows {policy.min_rows}: shown, not tested"
        return DriftReading(findings=(), state=state, distances=far, note=note)
    states = {stream.name: state.streams.get(stream.name, StreamState()) for stream in reference.streams}
    tested = tuple(stream for stream in seen if stream.role == "prediction" or _n(profile, stream) >= policy.min_rows)
    states |= {stream.name: _step(stream, states[stream.name], profile, window) for stream in tested}
    levels = {name: edetector.level(item.detectors) for name, item in states.items()}
    named = multiple.e_bh(levels, weights_of(reference), policy.drift_run_length)
    of = {stream.name: stream for stream in tested}
    alarmed = tuple(name for name in named if name in of)
    findings = tuple(_finding(of[name], profile, window, levels[name], (len(alarmed), policy)) for name in alarmed)
    states |= {name: _acknowledged(states[name], window) for name in alarmed}
    moved_on = DriftState(streams=states, windows=state.windows + 1, last_window=window.id)
    return DriftReading(findings=findings, state=moved_on, distances=far, note=_left_out(reference, profile, policy))


def _n(profile: Profile, stream: Stream) -> int:
    return sum(profile.counts.get(stream.name, ()))


def _left_out(reference: Reference, profile: Profile, policy: MonitorPolicy) -> str:
    """Features of which too few values were captured to say anything: never called drifted, and never said to be well."""
    features = [(stream.name, _n(profile, stream)) for stream in reference.streams if stream.role != "prediction"]
    none = [name for name, n in features if n == 0]
    few = [f"{name} ({n} values, fewer than min_rows {policy.min_rows})" for name, n in features if 0 < n < policy.min_rows]
    told = [f"not monitored, since no value was captured: {', '.join(none)}"] if none else []
    return "; ".join(told + ([f"not tested: {', '.join(few)}"] if few else []))


def weights_of(reference: Reference) -> dict[str, float]:
    """Each stream's share of the budget; sums to one."""
    predictions = [stream.name for stream in reference.streams if stream.role == "prediction"]
    features = [stream.name for stream in reference.streams if stream.role != "prediction"]
    share = max(PREDICTION_WEIGHT, len(predictions) / len(reference.streams)) if features else 1.0
    return {name: share / len(predictions) for name in predictions} | {name: (1.0 - share) / len(features) for name in features}


def _step(stream: Stream, state: StreamState, profile: Profile, window: Window) -> StreamState:
    observed = streams.score(stream, profile.counts[stream.name])
    normal = state.past if state.alarms else stream.calibration + state.past
    p = conformal.conformal_p(normal, observed, conformal.digest_uniform(window.place, stream.role, stream.name))
    bets = edetector.advance(state.detectors, edetector.step_bets(p), SHARE)
    detectors = tuple(float(f"{value:.8g}") for value in bets)  # short in the ledger; the same in every replay
    return msgspec.structs.replace(state, detectors=detectors, past=(*state.past, observed)[-REMEMBERED:])


def _acknowledged(state: StreamState, window: Window) -> StreamState:
    fresh = edetector.start(len(state.detectors))
    return msgspec.structs.replace(state, detectors=fresh, past=(), alarms=state.alarms + 1, last_alarm=window.id)


def _finding(stream: Stream, profile: Profile, window: Window, reached: float, context: tuple[int, MonitorPolicy]) -> Finding:
    named, policy = context
    counts = profile.counts[stream.name]
    kind = FindingKind.PREDICTION_DRIFT if stream.role == "prediction" else FindingKind.FEATURE_DRIFT
    effect = round(distances.js_distance(stream.counts, counts), 6)
    evidence = Evidence(
        name="drift_detector",
        value=round(reached, 3),
        n=sum(counts),
        since=window.start,
        until=window.end,
        method="conformal p-value of the Jensen–Shannon score, Shiryaev–Roberts e-detector, e-d-BH over streams (arXiv 2203.03532, 2501.04130)",
        inputs=hashlib.sha256(repr((stream.name, stream.counts, counts)).encode()).hexdigest(),
        note=f"mean run length of all drift monitors together at least {policy.drift_run_length:g} windows without drift",
    )
    return Finding(
        id=finding_id(kind, window, stream.name),
        kind=kind,
        model=window.model,
        unit=window.unit,
        subject=stream.name,
        window_start=window.start,
        window_end=window.end,
        effect=effect,
        effect_unit="Jensen–Shannon distance",
        evidence=evidence,
        share_of_budget=round(DRIFT_SHARE / named, 6),
        words=f"{stream.name}: {moved(stream, counts)} (distance {effect:.3f})",
    )


def finding_id(kind: FindingKind, window: Window, subject: str) -> str:
    """From content: the same window never raises it twice."""
    return "f-" + hashlib.sha256(f"{kind}\0{window.id}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
