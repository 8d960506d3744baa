"""Do labels still follow the answers as they did on the holdout? Concept drift, from labels, under a share of the false-alarm budget.

A window's departure in each stream (monitoring/calibration.py) is ranked among those of the holdout's windows and all windows since, each about the mean of all
of them and over what it then varies by (stats/common_mean.py): windows of different sizes share the error of the holdout's means, and, after an alarm, the
departure that was told; as standard scores alone, both would grow with the root of a window's rows, and more traffic would be a change. Bets on the rank
(stats/rank_bets.py), upwards and downwards, make Shiryaev–Roberts e-detectors; weighted e-d-BH over streams names which ones departed. Units are windows, or
blocks of them where the holdout's windows resemble their neighbours: what rows of one window have in common, and how their losses are tailed, is in both.

Where windows of the holdout differ by no more than their rows do, a window is looked at by itself, too: its departure against all before it, as normal values
(stats/next_value.py), the streams together by the weighted step-up rule. Such a look alarms with chance 1 / (2 · run length), which bets on; so both
halves together are one e-detector, and a jump need not wait for ranks to add up.

What is promised: while a stream's windows are exchangeable with the holdout's, it reaches c with a mean run length of at least c; the noise of the holdout is
part of the null. Over streams the bound is inherited as in monitoring/drift.py.
What it tells apart: a loss that rose because other rows came (covariate shift) is not alarmed as long as labels follow the answers within each bin
of the score; a loss beyond what the answers bring is. What it cannot: a mix of rows that shifts *within* a bin of the score, towards rows that the model had
always been wrong about, breaks calibration as a new concept does. Slices (monitoring/slices.py) narrow that down; labels alone do not decide it.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import compress
from typing import NamedTuple

import msgspec

from flyball.monitoring import calibration as followed
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.calibration import Calibration, Departure, Expected, Outcomes
from flyball.monitoring.concept_words import told
from flyball.monitoring.drift import finding_id
from flyball.monitoring.since import Since, by_itself, since_when
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, Norm
from flyball.stats import edetector, multiple, next_value
from flyball.stats.common_mean import Measured, standardised
from flyball.stats.rank_bets import SHIFTS, rank_bets, ranks_of

REMEMBERED = 120
"""Blocks kept per stream. Beyond it the oldest go, and independence of the ranks is approximate."""
BY_ITSELF = 0.5
"""Of the budget: for the look at a window by itself. Detectors that have half of it left are later by a window at most."""
LEAST_SPREAD = 0.5
"""Of scores, which rows alone make vary by 1. Where labels never varied at all, rounding is no spread."""
LEAST_NOISE = 1e-4
"""Of a window's variance, by its rows. What is kept of it has six digits: where luck is nearly all, a difference would be rounding."""
NEARER = 0.5
"""Of a departure that was told: what is left of it after a move back, at most."""
LOSS_WEIGHT = LEVEL_WEIGHT = 0.3
"""Of the budget. The rest is divided among the bins of the score and the classes: there are more of them, and they say less of harm."""

RANKS = "ranks of standardised departures among the holdout's windows, Shiryaev–Roberts e-detector, e-d-BH over streams (arXiv 2203.03532, 2501.04130)"
BY_ITSELF_METHOD = (
    "one window's standardised departure against all before it, Student's t of recursive residuals, step-up rule over streams"
)


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    up: tuple[float, ...] = edetector.start(len(SHIFTS))
    down: tuple[float, ...] = edetector.start(len(SHIFTS))
    past: tuple[tuple[float, float] | None, ...] = ()
    """Score and mean departure of each block judged since the last alarm, oldest first; None: too few rows."""
    usual: float = 0.0
    """Standard deviation of the mean departure of a holdout's block, with the answers of the latest one; 0: not known, of a state that did not keep it."""
    won: bool = False
    """The bets on the latest block were."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A window as far as it is told."""

    start: datetime
    n: int
    loss: float
    expected: float
    """Mean loss that these answers brought on the holdout."""


class ConceptState(msgspec.Struct, frozen=True, kw_only=True):
    """One unit since it became champion."""

    streams: dict[str, StreamState] = {}
    windows: tuple[Judged, ...] = ()
    """Since the last alarm, one per block; newest last."""
    open: dict[str, tuple[float, float, int]] = {}
    """Departures of the block that is being filled: total, variance, rows."""
    open_errors: dict[str, float] = {}
    """Of these totals, by the holdout's own means."""
    open_window: Judged | None = None
    """The rows of that block together."""
    open_count: int = 0
    alarms: int = 0
    last_window: str = ""


class ConceptReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: ConceptState
    moved: float = 0.0
    """Increase of this window's mean loss that its answers alone bring: other rows came."""
    broken: float = 0.0
    """The rest: labels do not follow the answers as they did."""
    note: str = ""


def judge(
    reference: Calibration, state: ConceptState, outcomes: Outcomes, window: Window, allowance: Allowance
) -> ConceptReading:
    """Judge one mature window, once, in order of time; a second look at the last one changes nothing."""
    if window.id == state.last_window:
        return ConceptReading(findings=(), state=state, note="this window was judged before")
    n = len(outcomes.labels)
    if n < max(allowance.min_rows, followed.LEAST_IN_BIN):
        return ConceptReading(
            findings=(), state=state, note=f"{n} labels are fewer than min_rows {allowance.min_rows}: not tested"
        )
    found = followed.departures(reference, outcomes)
    seen = _judged(reference, found, outcomes, window)
    filled = _filled(state, found, seen, window)
    moved_on = _closed(reference, filled) if filled.open_count >= reference.block else filled
    alarm = _alarm(reference, moved_on, allowance) if moved_on.open_count == 0 else None
    parts = round(seen.expected - reference.loss, 6), round(seen.loss - seen.expected, 6)
    if alarm is None:
        return ConceptReading(findings=(), state=moved_on, moved=parts[0], broken=parts[1])
    finding = _finding(reference, moved_on, alarm, window, allowance)
    fresh = ConceptState(alarms=state.alarms + 1, last_window=window.id)
    return ConceptReading(findings=(finding,), state=fresh, moved=parts[0], broken=parts[1])


def begin_anew(state: ConceptState) -> ConceptState:
    """A person has seen an alarm: the detectors begin with the next window. What came since the alarm is normal already, and stays it."""
    fresh = StreamState()
    streams = {name: msgspec.structs.replace(of, up=fresh.up, down=fresh.down) for name, of in state.streams.items()}
    return msgspec.structs.replace(state, streams=streams, open={}, open_errors={}, open_window=None, open_count=0)


def weights_of(reference: Calibration) -> dict[str, float]:
    """Each stream's share of this monitor's budget; sums to one."""
    others = [stream.name for stream in reference.streams if stream.name not in ("loss", "level")]
    rest = (1.0 - LOSS_WEIGHT - LEVEL_WEIGHT) / len(others)
    return {"loss": LOSS_WEIGHT, "level": LEVEL_WEIGHT} | dict.fromkeys(others, rest)


def _judged(reference: Calibration, found: dict[str, Departure], outcomes: Outcomes, window: Window) -> Judged:
    n = len(outcomes.labels)
    values = followed.row_values(reference.task, reference.classes, reference.scale, outcomes)
    loss = float(values["loss"].mean())
    return Judged(start=window.start, n=n, loss=round(loss, 6), expected=round(loss - found["loss"].mean, 6))


def _filled(state: ConceptState, found: dict[str, Departure], seen: Judged, window: Window) -> ConceptState:
    """The block that is open, and this window in it."""
    together, errors = dict(state.open), dict(state.open_errors)
    for name, departure in found.items():
        # not their squares: it is one error, in all windows
        errors[name] = errors.get(name, 0.0) + departure.error
        total, variance, n = together.get(name, (0.0, 0.0, 0))
        together[name] = (total + departure.total, variance + departure.variance, n + departure.n)
    first = state.open_window
    if first is not None:
        n = first.n + seen.n
        loss, expected = ((getattr(first, at) * first.n + getattr(seen, at) * seen.n) / n for at in ("loss", "expected"))
        seen = Judged(start=first.start, n=n, loss=round(loss, 6), expected=round(expected, 6))
    return msgspec.structs.replace(
        state, open=together, open_errors=errors, open_window=seen, open_count=state.open_count + 1, last_window=window.id
    )


def _closed(reference: Calibration, state: ConceptState) -> ConceptState:
    """Bets on the block that is full."""
    states = {
        stream.name: _step(reference, stream, state, state.streams.get(stream.name, StreamState()))
        for stream in reference.streams
    }
    windows = (*state.windows, *(() if state.open_window is None else (state.open_window,)))[-REMEMBERED:]
    return msgspec.structs.replace(
        state, streams=states, windows=windows, open={}, open_errors={}, open_window=None, open_count=0
    )


def _step(reference: Calibration, stream: Expected, state: ConceptState, of: StreamState) -> StreamState:
    if stream.name not in state.open:
        return msgspec.structs.replace(of, past=(*of.past, None)[-REMEMBERED:], won=False)
    departure = Departure(*state.open[stream.name], state.open_errors.get(stream.name, 0.0))
    latest = followed.score(stream, departure), float(f"{departure.mean:.6g}")
    usual = followed.usual_spread(stream, departure, len(_normal(reference, stream, state)))
    known = msgspec.structs.replace(of, past=(*of.past, latest)[-REMEMBERED:], usual=usual)
    *earlier, observed = standardised(_measured(reference, stream, state, known))
    above, below = rank_bets(ranks_of(earlier), observed), rank_bets(ranks_of([-value for value in earlier]), -observed)
    won = edetector.gain(of.up, above) > 0.0 if stream.name == "loss" else edetector.gain(of.up + of.down, above + below) > 0.0
    up, down = edetector.advance(of.up, above), edetector.advance(of.down, below)
    return msgspec.structs.replace(known, up=_shorts(up), down=_shorts(down), won=won)


def _measured(reference: Calibration, stream: Expected, state: ConceptState, of: StreamState) -> tuple[Measured, ...]:
    """Mean departures of the holdout's blocks, as far as they are normal, and of those since."""
    kept = [item for item in of.past if item is not None]
    score, mean = kept[-1] if kept else (0.0, 0.0)
    # A departure of exactly 0 tells no spread: taken for that of a holdout's block.
    latest = mean / score if score else of.usual or 1.0
    usual = of.usual or latest
    holdout = [Measured(score * usual, usual) for score in _normal(reference, stream, state)]
    return (*holdout, *(Measured(mean, mean / score if score else latest) for score, mean in kept))


def _normal(reference: Calibration, stream: Expected, state: ConceptState) -> tuple[float, ...]:
    """Scores of the holdout's blocks; none after an alarm: what came since is normal then."""
    if state.alarms:
        return ()
    if reference.block == 1:
        return stream.windows
    size = reference.block
    first = len(stream.windows) % size
    # sums of standard scores: windows of a holdout are about equally large
    blocks = [stream.windows[at : at + size] for at in range(first, len(stream.windows), size)]
    return tuple(float(f"{sum(block) / size**0.5:.6g}") for block in blocks)


def _level(name: str, of: StreamState) -> float:
    """A loss that falls is nobody's alarm."""
    return edetector.level(of.up) if name == "loss" else edetector.level(of.up + of.down)


class _Alarm(NamedTuple):
    named: tuple[str, ...]
    p: float | None
    """Of the window by itself; None: ranks of several added up."""


def _alarm(reference: Calibration, state: ConceptState, allowance: Allowance) -> _Alarm | None:
    """A window by itself first: it says which streams it was."""
    p_values = _by_itself(reference, state)
    part = BY_ITSELF if p_values else 0.0
    weights = weights_of(reference)
    named = multiple.benjamini_hochberg(p_values, weights, part / allowance.run_length)
    if named:
        return _Alarm(named, p_values[named[0]])
    levels = {stream.name: _level(stream.name, state.streams[stream.name]) for stream in reference.streams}
    named = multiple.e_bh(levels, weights, allowance.run_length / (1.0 - part) / reference.block)
    return _Alarm(named, None) if any(state.streams[name].won for name in named) else None


def _by_itself(reference: Calibration, state: ConceptState) -> dict[str, float]:
    """p-values of the latest window. Only where it may be taken for one of many normal ones: luck that some days share is left to ranks."""
    found = {}
    for stream in reference.streams:
        past = state.streams[stream.name].past
        if not stream.alike or not reference.in_time or reference.block > 1 or past[-1] is None:
            continue
        measured = _measured(reference, stream, state, state.streams[stream.name])
        above, below = _tail(stream, measured, 1.0), _tail(stream, measured, -1.0)
        found[stream.name] = above if stream.name == "loss" else min(2.0 * min(above, below), 1.0)
    return found


def _tail(stream: Expected, measured: tuple[Measured, ...], sign: float) -> float:
    """Of the latest window, whether all that windows vary by is their rows' noise or all of it is luck: too little of it was seen to tell, and it is the
    same in windows of any size."""
    rows = [math.sqrt(max(each.spread**2 - stream.between**2, LEAST_NOISE * each.spread**2)) for each in measured]
    tails = []
    for spreads in (rows, [measured[-1].spread] * len(measured)):
        *earlier, latest = (Measured(sign * each.value, spread) for each, spread in zip(measured, spreads, strict=True))
        tails.append(next_value.upper_tail_of_unequal(latest, earlier, LEAST_SPREAD))
    return max(tails)


def _since(reference: Calibration, state: ConceptState, name: str) -> Since | None:
    of = state.streams[name]
    stream = next(item for item in reference.streams if item.name == name)
    starts = [seen.start for item, seen in zip(of.past, state.windows, strict=True) if item is not None]
    values = standardised(_measured(reference, stream, state, of))
    before = len(values) - len(starts)
    # They are judged as their labels become complete, which is another order than that of time.
    judged = sorted(zip(starts, values[before:], strict=True), key=lambda each: each[0])
    return since_when(values[:before], tuple(value for _, value in judged), tuple(start for start, _ in judged))


def _finding(reference: Calibration, state: ConceptState, alarm: _Alarm, window: Window, allowance: Allowance) -> Finding:
    named = alarm.named
    since = _since(reference, state, named[0])
    if alarm.p is not None:
        since = by_itself(since, tuple(sorted(seen.start for seen in state.windows)), state.windows[-1].start)
    alone = since is not None and since.alone
    changed = [since is None or seen.start == since.at or (seen.start > since.at and not alone) for seen in state.windows]
    recent = tuple(compress(state.windows, changed))
    rows = sum(seen.n for seen in recent)
    loss, expected = (sum(getattr(seen, at) * seen.n for seen in recent) / rows for at in ("loss", "expected"))
    effects = {name: _mean(compress(state.streams[name].past, changed)) for name in named}
    harm = round(loss - expected, 6)
    back = harm <= allowance.tolerance and _is_back(state, named, changed)
    words = told(reference, effects, (loss, expected), back=back)
    level = max(_level(name, state.streams[name]) for name in named)
    evidence = Evidence(
        name="concept_detector" if alarm.p is None else "concept_window_p_value",
        value=round(level, 3) if alarm.p is None else float(f"{alarm.p:.3g}"),
        n=len(state.windows),
        unit="windows" if reference.block == 1 else f"blocks of {reference.block} windows",
        since=window.start,
        until=window.end,
        method=RANKS if alarm.p is None else BY_ITSELF_METHOD,
        inputs=hashlib.sha256(repr(state.streams).encode()).hexdigest(),
        note=f"mean run length of all streams together at least {allowance.run_length:g} windows while labels follow the answers",
    )
    return Finding(
        id=finding_id(FindingKind.CONCEPT_DRIFT, window, "labels"), kind=FindingKind.CONCEPT_DRIFT, model=window.model, unit=window.unit,
        subject="labels", window_start=window.start, window_end=window.end, effect=harm,
        effect_unit="mean bounded loss beyond what such answers brought on the holdout", evidence=evidence,
        share_of_budget=allowance.share, words=words if since is None else f"{words}; {since.words}", effects=effects, harm=harm,
        pages=harm > allowance.tolerance, changed_since=None if since is None else since.at, changed_between=None if since is None else since.between,
        norm=Norm(mean=round(expected, 6), tolerated=round(expected + allowance.tolerance, 6), where="for such answers on the holdout"),
    )  # fmt: skip


def _is_back(state: ConceptState, named: tuple[str, ...], changed: Sequence[bool]) -> bool:
    """The end of what was told before: each stream is nearer to the holdout by half than it was from that alarm until this change."""
    earlier = [not each for each in changed]
    both = [
        (_mean(compress(of.past, earlier)), _mean(compress(of.past, changed))) for of in (state.streams[name] for name in named)
    ]
    return state.alarms > 0 and all(abs(now) < NEARER * abs(before) for before, now in both)


def _mean(past: Iterable[tuple[float, float] | None]) -> float:
    means = [item[1] for item in past if item is not None]
    return round(sum(means) / len(means), 6) if means else 0.0


def _shorts(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{value:.8g}") for value in values)
