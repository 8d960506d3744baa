"""How good is it really? Realised metrics of mature windows, and harm: evidence that the loss has risen.

Harm is judged on windows, not rows: rows of one day share its weather, and a test that takes them for independent alarms at every storm. A window gives one
number, its mean bounded loss. Half of the capital bets on each of two sides of the same null hypothesis, that it is no worse than the holdout's but for the tolerance
that the user states; the mean of two Shiryaev–Roberts e-detectors is one, so the mean run length is at least the budget's where both hold.

On the mean (stats/edetector.mean_bets): given the past, a window's expected loss is at most the baseline's plus the tolerance, whatever its distribution and its
dependence. The baseline is a sample too: what is tested against is the upper end of its own interval (Student's t over the holdout's windows, error
BASELINE_ALPHA over the draw of the holdout). Losses below `floor` count as `floor`, in the baseline and in new windows alike: a bet may then be larger, which
finds harm sooner. The hypothesis is about the mean of these clipped losses: what varies more than the holdout's windows is clipped more, and has a higher one.
On the rank (stats/rank_bets.py): windows less the tolerance are exchangeable with the holdout's, or lower. The noise of the baseline is part of it, and one window
that beats all others is worth more than any bet on a mean may win.
For both: a window with fewer rows than the holdout's varies more, so its departure is shrunk to what one of theirs would vary, and the baseline's margin with it.
On the window by itself (stats/next_value.py), where windows of the holdout differ by no more than their rows do: means of many rows are normal then, and one
that lies far beyond all before it is alarmed at once; not one of less than half their rows, whose tails are longer.
Such a look alarms with chance 1 / (2 · run length); with it the bets have half of the budget, and all of it in windows that get no look.
"""

import hashlib
import math
from datetime import datetime
from statistics import fmean

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import streams
from flyball.monitoring.drift import finding_id
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.realised import Weighting, realised
from flyball.monitoring.recent_losses import Before, Recent, Told, WindowLoss, recent
from flyball.monitoring.reference import Baseline, Reference
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, Norm
from flyball.stats import edetector, losses, next_value, student
from flyball.stats.rank_bets import SHIFTS, rank_bets, ranks_of

BASELINE_ALPHA = 0.05
"""Chance, over the draw of the holdout, that the baseline's upper end is too low."""
REMEMBERED = 120
"""Windows in which a change is looked for; the sums go over all. They are put into the ledger whole at every window: 60 bytes each."""
LOOKED_AHEAD = 12
"""Windows in which an alarm is foretold."""
BY_ITSELF = 0.5
"""Of the budget: for the look at a window by itself."""
LIKE = 0.5
"""Of the rows of a holdout's window, without which a window is not looked at by itself: shrinking makes it vary as theirs, but its tail stays that of few rows."""
BETS = (
    "bets on the mean and on the rank of windows, Shiryaev–Roberts e-detector (arXiv 2203.03532; Podkopaev & Ramdas 2110.06177)"
)
ALONE = "one window's mean loss, less the tolerance, against all windows before it, Student's t of recursive residuals"
LEAST_WIDTH = 1e-3
"""Between floor and bound. Without it a baseline without any spread would make every bet infinite."""


class PerformanceState(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's realised loss since it became champion."""

    detectors: tuple[float, ...] = edetector.start(len(edetector.BET_FRACTIONS))
    """Bets on the mean."""
    ranked: tuple[float, ...] = edetector.start(len(SHIFTS))
    """Bets on the rank."""
    normal: tuple[float, ...] = ()
    """Shrunk losses that windows are ranked among beside the baseline's: those since it became champion, or since the last alarm."""
    past: tuple[WindowLoss, ...] = ()
    windows: int = 0
    n: int = 0
    """Labelled rows in all judged windows."""
    loss_sum: float = 0.0
    alarms: int = 0
    since_alarm: int = 0
    """Windows judged since the last alarm, or since it became champion."""
    accepted: Baseline | None = None
    """What a person took as normal instead of the holdout; None: the holdout is."""
    accepted_alarms: int = 0
    """Alarms when that was."""
    accepted_n: int = 0
    """`n` when that was. 0: nothing was accepted, or by a Flyball that did not keep it."""
    accepted_sum: float = 0.0
    """`loss_sum` when that was."""
    latest_p: float = 1.0
    """Of the latest window by itself; 1: not looked at so."""
    told: Told | None = None
    """Of the last alarm; None: there was none since it became champion or since a loss was accepted, or by a Flyball that did not keep it."""
    won: bool = True
    """The bets on the latest window were, both halves together. Also of a state that did not keep it."""


class PerformanceReading(msgspec.Struct, frozen=True, kw_only=True):
    metrics: dict[str, Evidence]
    findings: tuple[Finding, ...]
    state: PerformanceState
    loss_increase: float
    """Of `increase`. The signal `performance.loss_increase`."""
    note: str = ""
    outlook: str = ""
    """How many more windows like this one raise an alarm; empty: it is no worse than tolerated, or it was told."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What a window's expected loss is tested against."""

    floor: float
    """Losses below it count as it."""
    mean: float
    """Of the baseline's clipped window means."""
    upper: float
    """Of its interval."""


def judge(
    reference: Reference,
    state: PerformanceState,
    outcomes: tuple[ArrayLike, ArrayLike],
    window: Window,
    policy: MonitorPolicy,
    weighting: Weighting | None = None,
) -> PerformanceReading:
    """Judge one mature window, once; a second look at it changes nothing. Whether it is mature the caller asks `maturity.is_mature`.

    `outcomes`: scores (n_rows, n_scores) and labels (n_rows,) of the rows that have a label: class indices, or numbers for regression.
    `weighting`: of those, where they are no plain sample of the window's rows.
    Raises DataError when they do not belong together.
    """
    scores, labels, finite = _checked(*outcomes)
    if weighting is not None:
        weighting = weighting._replace(weights=weighting.weights[finite], groups=weighting.groups[finite])
    metrics = realised(reference, scores, labels, window, weighting)
    if any(past.start == window.start for past in state.past):
        return _reading(reference, metrics, state, note="this window was judged before")
    observed = losses.bounded_loss(reference.task, scores, labels, reference.scale)
    seen = seen_of(observed, window, None if weighting is None else weighting.weights)
    if seen.n < policy.min_rows:
        few = f"{labels.size} labels" if weighting is None else f"{labels.size} labels, worth {seen.n} of a plain sample,"
        return _reading(reference, metrics, state, note=f"{few} are fewer than min_rows {policy.min_rows}: shown, not tested")
    if not (state.accepted or reference.baseline).n:
        return _reading(reference, metrics, state, note="there was no holdout to compare the loss with: shown, not tested")
    total = float(observed.sum()) if weighting is None else seen.mean * seen.n
    moved_on = advance(reference.baseline, state, seen, total, policy.tolerance)
    if not is_alarm(reference.baseline, moved_on, policy):
        return msgspec.structs.replace(
            _reading(reference, metrics, moved_on), outlook=outlook(reference.baseline, moved_on, policy)
        )
    alone = _alone(moved_on.accepted or reference.baseline, moved_on, policy)
    since = recent_of(reference.baseline, moved_on, alone=alone)
    finding = _finding(reference, moved_on, window, policy, since)
    return _reading(reference, metrics, ended(moved_on, since), findings=(finding,))


def is_alarm(baseline: Baseline, state: PerformanceState, policy: MonitorPolicy) -> bool:
    """Whether the latest window, or all so far, say that the loss is worse. A window that equals all others says nothing, though the level grows by it."""
    known = state.accepted or baseline
    far = state.won and level(state) >= policy.harm_run_length / (1.0 - _part(known))
    return far or _alone(known, state, policy)


def _part(known: Baseline) -> float:
    return BY_ITSELF if known.alike else 0.0


def _alone(known: Baseline, state: PerformanceState, policy: MonitorPolicy) -> bool:
    """The latest window is an alarm by itself."""
    return known.alike and state.latest_p <= _part(known) / policy.harm_run_length


def level(state: PerformanceState) -> float:
    """The two halves together."""
    return 0.5 * edetector.level(state.detectors) + 0.5 * edetector.level(state.ranked)


def increase(baseline: Baseline, state: PerformanceState) -> float:
    """Mean bounded loss of the judged windows' rows minus what it is compared with, and 0 while there are none: of those since a person took their loss as
    normal, where one has. What was accepted is no increase, however long the good time before it was."""
    n, known = state.n - state.accepted_n, state.accepted or baseline
    if state.accepted is not None and not state.accepted_n:
        return 0.0  # taken by an earlier Flyball, which did not keep since when: with the next window it is known
    return round((state.loss_sum - state.accepted_sum) / n - known.mean, 6) if n > 0 else 0.0


def bound_of(baseline: Baseline) -> Bound:
    """The baseline's clipped mean and its upper end: t over windows; over rows' worst case where there are fewer than two windows."""
    means = np.asarray(baseline.window_means or (baseline.mean,), dtype=np.float64)
    spread = float(means.std(ddof=1)) if means.size > 1 else 0.5
    floor = max(float(means.mean()) - spread, 0.0)
    clipped = np.maximum(means, floor)
    centre = float(clipped.mean())
    if means.size < 2:
        return Bound(floor=floor, mean=centre, upper=min(centre + 1.0 / math.sqrt(max(baseline.n, 1)), 1.0))
    margin = student.t_quantile(1.0 - BASELINE_ALPHA, means.size - 1) * float(clipped.std(ddof=1)) / math.sqrt(means.size)
    return Bound(floor=floor, mean=centre, upper=min(centre + margin, 1.0))


def norm_of(baseline: Baseline, tolerance: float, where: str) -> Norm:
    """What windows' losses are shown beside."""
    tolerated = max(bound_of(baseline).upper, baseline.mean) + tolerance
    return Norm(mean=round(baseline.mean, 6), tolerated=round(tolerated, 6), where=where)


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Rows whose scores and label are numbers, and which these are; the others have nothing to be judged by."""
    table, truth = streams.score_table(scores), np.asarray(labels, dtype=np.float64)
    if len(table) != len(truth):
        raise DataError(f"{len(table)} scores and {len(truth)} labels", expected="one label per score")
    finite = np.isfinite(truth) & np.isfinite(table).all(axis=1)
    return table[finite], truth[finite], finite


def seen_of(observed: NDArray[np.float64], window: Window, weights: NDArray[np.float64] | None = None) -> WindowLoss:
    """One window as it is judged. `observed`: its rows' bounded losses. Weighted ones are as many as rows of one weight would be whose mean varies as theirs
    does (Kish, Survey Sampling, 1965)."""
    n = observed.size if weights is None or not observed.size else int(weights.sum() ** 2 / np.square(weights).sum() + 1e-6)
    mean = np.average(observed, weights=weights) if observed.size else 0.0
    return WindowLoss(start=window.start, mean=float(f"{mean:.8g}"), n=int(n))


def advance(baseline: Baseline, state: PerformanceState, seen: WindowLoss, total: float, tolerance: float) -> PerformanceState:
    """Both halves bet on one window more. `total`: sum of its losses. Whether that is an alarm, `level` says."""
    unknown, baseline = state.accepted is not None and not state.accepted_n, state.accepted or baseline
    bound, like = bound_of(baseline), _like(baseline, seen.n)
    # Shrunk as the departure is: all of the margin would hide the harm of small windows. What is shrunk goes towards the mean of rows, the bound is
    # around that of windows: where large windows are the worse ones the former is higher, and every small window would be a step of harm.
    apart = max(baseline.mean - fmean(baseline.window_means or (baseline.mean,)), 0.0)
    margin = like * (bound.upper - bound.mean) + (1.0 - like) * apart
    limit = max(bound.mean + margin + tolerance, bound.floor + LEAST_WIDTH)
    shrunk = _shrunk(baseline, seen)
    tolerated = msgspec.structs.replace(seen, mean=seen.mean - tolerance)
    earlier, harmed = _normal(baseline, state), _shrunk(baseline, tolerated)
    looked = baseline.alike and seen.n >= LIKE * _rows(baseline)
    # The bets' threshold is that of half the budget; in a window without a look, which is known before its losses, they begin with the other half as well.
    unit = 1.0 if looked else 1.0 / (1.0 - _part(baseline))
    on_mean = edetector.mean_bets(max(harmed + tolerance, bound.floor), limit, bound.floor)
    on_rank = rank_bets(ranks_of(earlier), harmed)
    detectors = tuple(float(f"{value:.8g}") for value in edetector.advance(state.detectors, on_mean, unit=unit))
    ranked = tuple(float(f"{value:.8g}") for value in edetector.advance(state.ranked, on_rank, unit=unit))
    return msgspec.structs.replace(
        state,
        detectors=detectors,
        ranked=ranked,
        won=edetector.gain(state.detectors, on_mean, unit) + edetector.gain(state.ranked, on_rank, unit) > 0.0,
        normal=(*state.normal, shrunk)[-REMEMBERED:],
        since_alarm=state.since_alarm + 1,
        latest_p=float(f"{next_value.upper_tail(harmed, earlier):.3g}") if looked else 1.0,
        past=(*state.past, seen)[-REMEMBERED:],
        windows=state.windows + 1,
        n=state.n + seen.n,
        accepted_n=state.n if unknown else state.accepted_n,
        accepted_sum=state.loss_sum if unknown else state.accepted_sum,
        loss_sum=float(f"{state.loss_sum + total:.12g}"),
    )


def ended(state: PerformanceState, told_of: Recent | None = None) -> PerformanceState:
    """It was told: the detectors begin anew, and what is normal is learned from what comes now."""
    fresh, since = PerformanceState(), told_of.since if told_of is not None else None
    told = None if since is None else Told(at=since.at, between=since.between, words=since.words)
    return msgspec.structs.replace(
        state, detectors=fresh.detectors, ranked=fresh.ranked, normal=(), since_alarm=0, alarms=state.alarms + 1, told=told
    )


def begin_anew(state: PerformanceState) -> PerformanceState:
    """A person has seen an alarm: the detectors begin with the next window, with their full budget. What they are compared with stays."""
    fresh = PerformanceState()
    return msgspec.structs.replace(state, detectors=fresh.detectors, ranked=fresh.ranked, since_alarm=0, latest_p=1.0)


def accept(state: PerformanceState, since: datetime) -> PerformanceState:
    """A person takes the loss since then as the new normal. Few windows make a wide interval, within which a further rise is found late.

    Windows that raised the alarm are among them, and were picked for being bad: the new baseline is too high rather than too low.
    """
    taken = tuple(item for item in state.past if item.start is not None and item.start >= since) or state.past[-1:]
    if not taken:
        return begin_anew(state)
    n = sum(item.n for item in taken)
    mean = float(f"{sum(item.mean * item.n for item in taken) / n:.8g}")
    normal = Baseline(mean=mean, n=n, window_means=tuple(item.mean for item in taken), in_time=True)
    return msgspec.structs.replace(
        begin_anew(state),
        normal=(),
        accepted=normal,
        accepted_alarms=state.alarms,
        accepted_n=state.n,
        accepted_sum=state.loss_sum,
        told=None,
    )


def outlook(baseline: Baseline, state: PerformanceState, policy: MonitorPolicy) -> str:
    """Of the last window: how many more like it raise an alarm. Empty: it is not worse than is tolerated."""
    if not state.past:
        return ""
    last, bound = state.past[-1], bound_of(state.accepted or baseline)
    if last.mean <= bound.upper + policy.tolerance:
        return ""
    for more in range(1, LOOKED_AHEAD + 1):
        state = advance(baseline, state, last, last.mean * last.n, policy.tolerance)
        if is_alarm(baseline, state, policy):
            like = "one more window like it raises" if more == 1 else f"{more} more windows like it raise"
            return f"mean loss {last.mean:.4f}, more than {bound.upper + policy.tolerance:.4f} tolerated: {like} an alarm"
    tolerated = bound.upper + policy.tolerance
    return (
        f"mean loss {last.mean:.4f}, more than {tolerated:.4f} tolerated: {LOOKED_AHEAD} more windows like it raise no alarm yet"
    )


def recent_of(baseline: Baseline, state: PerformanceState, *, alone: bool = False) -> Recent:
    """At an alarm. `alone`: the latest window raised it by itself."""
    alarmed = state.alarms > state.accepted_alarms
    before = Before(state.past[: -state.since_alarm], state.told if alarmed else None, alarmed)
    judged = tuple(each for each in state.past[-state.since_alarm :] if each.start is not None)
    return recent((state.accepted or baseline).window_means, before, judged, alone=alone)


def _normal(baseline: Baseline, state: PerformanceState) -> tuple[float, ...]:
    return state.normal if state.alarms > state.accepted_alarms else baseline.window_means + state.normal


def _shrunk(baseline: Baseline, seen: WindowLoss) -> float:
    """As far from the baseline as a window of the holdout's size would be, were all its variation that of rows: then never further than it should."""
    return float(f"{baseline.mean + (seen.mean - baseline.mean) * _like(baseline, seen.n):.8g}")


def _like(baseline: Baseline, n: int) -> float:
    """What the spread of a window of the holdout is of the spread of one with n rows, at most 1."""
    return min(1.0, math.sqrt(n / _rows(baseline)))


def _rows(baseline: Baseline) -> float:
    """Of a window of the holdout."""
    return baseline.n / max(len(baseline.window_means), 1)


def _reading(
    reference: Reference,
    metrics: dict[str, Evidence],
    state: PerformanceState,
    *,
    findings: tuple[Finding, ...] = (),
    note: str = "",
) -> PerformanceReading:
    risen = increase(reference.baseline, state)
    return PerformanceReading(metrics=metrics, findings=findings, state=state, loss_increase=risen, note=note)


def _finding(reference: Reference, state: PerformanceState, window: Window, policy: MonitorPolicy, told: Recent) -> Finding:
    known = state.accepted or reference.baseline
    bound, alone = bound_of(known), _alone(known, state, policy)
    windows, last, since = told
    evidence = Evidence(
        name="harm_window_p_value" if alone else "harm_detector",
        value=state.latest_p if alone else round(level(state), 3),
        n=state.windows,
        unit="windows",
        since=window.start,
        until=window.end,
        method=ALONE if alone else BETS,
        inputs=hashlib.sha256(repr(state.past).encode()).hexdigest(),
        note=f"mean run length at least {policy.harm_run_length:g} windows without harm, unless the holdout was drawn too kind (chance {BASELINE_ALPHA:g})",
    )
    where = "on the holdout" if state.accepted is None else "in what was accepted as normal"
    holdout = f"{known.mean:.4f} {where} (upper end of the baseline {bound.upper:.4f}, {policy.tolerance:g} more tolerated)"
    harm = round(last - known.mean, 6)
    return Finding(
        id=finding_id(FindingKind.PERFORMANCE, window, "loss"),
        kind=FindingKind.PERFORMANCE,
        model=window.model,
        unit=window.unit,
        subject="loss",
        window_start=window.start,
        window_end=window.end,
        effect=harm,
        effect_unit="increase of the mean bounded loss",
        evidence=evidence,
        share_of_budget=policy.share("performance"),
        harm=harm,
        changed_since=None if since is None else since.at,
        changed_between=None if since is None else since.between,
        norm=norm_of(known, policy.tolerance, where),
        words=f"mean loss {last:.4f} over the last {len(windows)} mature windows, {holdout}"
        + (f"; {since.words}" if since else ""),
    )
