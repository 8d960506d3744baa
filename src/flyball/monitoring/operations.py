"""Is the service what it usually is at this time: requests, failures, latency, missing values, labels and their delay?

Per signal a learned baseline (stats.seasonal) → residual beyond the last one's pull → conformal p-value among past residuals, with a heavy tail (stats.tails) → bets →
Shiryaev–Roberts e-detector; over signals weighted e-d-BH, as for drift. What is promised: while weeks resemble one another, residuals are close to exchangeable and all
signals together alarm once in the policy's run length at most; closely and not exactly, since the baseline learns as it goes: the simulations in the tests measure it.

Nothing is said during the warm-up: three weeks for the first baseline, then residuals of a week, and 20 at least. An anomaly is told once. While it lasts nothing is
learned, and only one twice as far is told again; two usual windows end it; after a week it is what is usual. A holiday is what it is: unusual.
"""

import hashlib
from datetime import timedelta

import msgspec

from flyball.monitoring import operations_words, track
from flyball.monitoring.drift import finding_id
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.track import Clock, Step, Track
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import conformal, edetector, multiple, seasonal
from flyball.stats.seasonal import Value

WEIGHTS = {
    "requests": 0.3, "failures": 0.2, "latency_median": 0.1, "latency_p99": 0.15, "missing": 0.1, "labels": 0.1, "label_delay": 0.05,
}  # fmt: skip
"""Each signal's share of the budget; sums to one."""
FALLS = ("requests", "labels")
"""Watched on both sides, and a rise pages nobody. Of the others only a rise is anything."""
FEWEST = {"latency_median": 20, "latency_p99": 100, "label_delay": 20}
"""Rows behind a quantile: with fewer it is not one."""
NOISE = {"latency_median": 1.0, "latency_p99": 4.0, "label_delay": 1.0}
"""Variance of the logarithm times rows: what few rows scatter by, of latencies as long-tailed as a log-normal with σ = 0.6 to 0.8."""
DEFINITION, REDEFINED = 1, ("requests", "failures")
"""Of what is counted, and signals that mean another thing than before: 1, what gateways turn away is asked for, and fails. A service that sheds load every day was
normal without, and would page at once after an upgrade."""
SHARE = "operations"
"""Of the false-alarm budget (policy.SHARES)."""
SHOWN_Z = 1.645
"""The middle 90 %."""


MICROSECOND = timedelta(microseconds=1)


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted in one window. None: not known (maybe no gateway was up), which is not 0."""

    requests: int | None
    """Rows asked for: answered, failed or turned away. Not those of requests that were refused for what stands in them: where all are, requests fall."""
    failures: int | None
    """Rows that failed or were turned away, since there was no room or no time: whoever asked can mend neither."""
    latencies_us: tuple[int, ...] = ()
    """Model time of each batch, or of a sample of them."""
    missing: int | None = None
    """Missing values in all features together."""
    values: int = 0
    """Captured values in all features together, missing ones included."""
    labels: int | None = None
    """Received in this window, whenever their predictions were made."""
    label_delay_us: int | None = None
    """Median of their delays."""


class OperationsState(msgspec.Struct, frozen=True, kw_only=True):
    """All signals of one model (not of a unit: traffic outlives a champion)."""

    tracks: dict[str, Track] = {}
    last_window: str = ""
    """Its place: the same window of another champion is the same traffic."""
    last_number: int = 0
    width_us: int = 0
    """Of its windows; 0: none was judged yet. What is usual in a window of another length is another thing."""
    learning: str = ""
    """What is still learned before anything is said of it; empty: nothing."""
    definition: int = 0
    """Of what was counted in its tracks."""


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """One signal in one window, to be shown: a count, a share of rows or microseconds."""

    value: float
    lower: float | None
    """Of the middle 90 % of what is usual at this time; None: still learning."""
    upper: float | None


class OperationsReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: OperationsState
    usual: dict[str, Usual]
    note: str = ""
    """What is still learning, and how long."""


def judge(state: OperationsState, measures: Measures, window: Window, policy: MonitorPolicy) -> OperationsReading:
    """Judge one window that is over, also one without a single request. In order of time, each once: a second look at the last one changes nothing."""
    clock = track.clock_of(window)
    values = values_of(measures, clock)
    if window.place == state.last_window:
        return OperationsReading(findings=(), state=state, usual=shown(state, values), note="this window was judged before")
    same = state.tracks if state.definition == DEFINITION else {k: v for k, v in state.tracks.items() if k not in REDEFINED}
    tracks = {name: track.of_the_clock(same.get(name, Track()), clock) for name in WEIGHTS}
    if clock.number != state.last_number + 1:
        tracks = {name: track.after_gap(each) for name, each in tracks.items()}
    steps = {name: _step(name, each, values.get(name), clock, window) for name, each in tracks.items()}
    levels = {name: edetector.level(step.track.detectors) for name, step in steps.items()}
    named = [name for name in multiple.e_bh(levels, WEIGHTS, policy.run_length(SHARE)) if steps[name].score is not None]
    # Many windows of a hundredth more prove a change that nobody would call for: it is told when a window itself is unusual.
    alarmed = [name for name in named if _unusual(name, _usual(steps[name].track, values[name]))]
    findings = tuple(_finding(name, steps[name], values[name], window, (len(alarmed), policy)) for name in alarmed)
    settled = {name: track.settle(step, values.get(name), window, alarmed=name in alarmed) for name, step in steps.items()}
    note = _learning(settled, values, clock)
    moved_on = OperationsState(
        tracks=settled, last_window=window.place, last_number=clock.number,
        width_us=(window.end - window.start) // MICROSECOND, learning=note, definition=DEFINITION,
    )  # fmt: skip
    return OperationsReading(findings=findings, state=moved_on, usual=shown(state, values), note=note)


def values_of(measures: Measures, clock: Clock) -> dict[str, Value]:
    """The signals of which something is known in this window."""
    found: dict[str, Value] = {}
    if measures.requests is not None:
        found["requests"] = seasonal.count_value(clock.slot, measures.requests)
    if measures.failures is not None and measures.requests:
        found["failures"] = seasonal.count_value(clock.slot, measures.failures, measures.requests)
    latencies = sorted(measures.latencies_us)
    for name, quantile in (("latency_median", 0.5), ("latency_p99", 0.99)):
        if len(latencies) >= FEWEST[name]:
            found[name] = _size(name, latencies[int(quantile * len(latencies))], len(latencies), clock)
    if measures.missing is not None and measures.values > 0:
        found["missing"] = seasonal.count_value(clock.slot, measures.missing, measures.values)
    if measures.labels is not None:
        found["labels"] = seasonal.count_value(clock.slot, measures.labels)
        if measures.label_delay_us is not None and measures.labels >= FEWEST["label_delay"]:
            found["label_delay"] = _size("label_delay", measures.label_delay_us, measures.labels, clock)
    return found


def _size(name: str, value: int, n: int, clock: Clock) -> Value:
    return seasonal.size_value(clock.slot, max(value, 1), NOISE[name] / n)


def _step(name: str, before: Track, value: Value | None, clock: Clock, window: Window) -> Step:
    uniforms = (conformal.digest_uniform(window.place, "place", name), conformal.digest_uniform(window.place, "rank", name))
    return track.step(before, value, clock, two_sided=name in FALLS, uniforms=uniforms)


def shown(state: OperationsState, values: dict[str, Value]) -> dict[str, Usual]:
    """Each signal beside what is usual, as the state has it."""
    return {name: _usual(state.tracks.get(name, Track()), value) for name, value in values.items()}


def _unusual(name: str, shown: Usual) -> bool:
    if shown.lower is None or shown.upper is None:
        return True
    return shown.value > shown.upper or (name in FALLS and shown.value < shown.lower)


def _usual(of: Track, value: Value) -> Usual:
    per = value.exposure if value.counted is not None else 1.0
    observed = seasonal.size_of(value) / per
    if of.baseline is None:
        return Usual(value=observed, lower=None, upper=None)
    lower, upper = seasonal.usual_range(of.baseline, value, SHOWN_Z)
    upper = upper if per == 1.0 else min(upper, per)
    return Usual(value=observed, lower=float(f"{lower / per:.4g}"), upper=float(f"{upper / per:.4g}"))


def _learning(tracks: dict[str, Track], values: dict[str, Value], clock: Clock) -> str:
    left = {name: track.until_ready(each, clock) for name, each in tracks.items() if name in values}
    learning = [f"{name} ({windows} more windows)" for name, windows in left.items() if windows]
    return f"still learning what is usual: {', '.join(learning)}" if learning else ""


def _finding(name: str, step: Step, value: Value, window: Window, context: tuple[int, MonitorPolicy]) -> Finding:
    named, policy = context
    of = step.track
    usual = _usual(of, value)
    middle = seasonal.middle(of.baseline, value) if of.baseline is not None else usual.value
    ratio = seasonal.size_of(value) / max(middle, 1e-9)
    evidence = Evidence(
        name="operations_detector",
        value=round(edetector.level(of.detectors), 3),
        n=len(of.past),
        unit="windows",
        since=window.start,
        until=window.end,
        method="seasonal baseline, conformal p-value with a Pareto tail, Shiryaev–Roberts e-detector, e-d-BH (arXiv 2203.03532, 2501.04130)",
        inputs=hashlib.sha256(msgspec.json.encode((name, value, of.past))).hexdigest(),
        note=f"mean run length of all operations signals together at least {policy.run_length(SHARE):g} windows while weeks resemble one another",
    )
    return Finding(
        id=finding_id(FindingKind.OPERATIONS, window, name),
        kind=FindingKind.OPERATIONS,
        model=window.model,
        unit=window.unit,
        subject=name,
        window_start=window.start,
        window_end=window.end,
        effect=float(f"{ratio:.4g}"),
        effect_unit="times the usual",
        evidence=evidence,
        share_of_budget=round(policy.share(SHARE) / named, 6),
        words=operations_words.told(name, usual, window),
        pages=not (name in FALLS and ratio > 1.0),
        changed_since=operations_words.moment(of.rising_since) or window.start,
    )
