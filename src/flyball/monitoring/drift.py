"""Has the world moved? Every feature and the predictions, for ever, under one false-alarm budget.

At each window's end every stream's counts are compared with all that came before it in its epoch (the reference and the windows since), in several senses
(senses.py): exact or saddlepoint p-values of "these rows are any so many of all". Where windows of the reference differ by more than chance, each sense is
judged by the spread of windows instead (spread.py). A stream's senses are combined into one p-value (Cauchy), and the streams of a window are judged
together by the weighted step-up rule, whose names are the alarm. The same is done for blocks of 3, 9 and 27 windows when they are complete. Each look has its
part of the budget: a window spends LOOKS[0] of it, a block of L windows, looked at every L windows, L times its own part. So the expected number of
false alarms per window is the budget, however many streams and rows there are.

What is promised: while rows are exchangeable (or windows are, and differ as spread.py takes them to), each look alarms with its own probability over draws
of the reference too: nothing is conditional on it. Two steps are not exact for every dependence: the combination of a stream's senses is so for small
levels, the step-up rule for streams that depend positively. Simulations in the tests measure both.

An alarm is told once: the stream's epoch then ends, and later windows are compared with those after the alarm. So a lasting shift is one finding and the next
one is a further move. If the windows after an alarm are like the reference again, so is what they are compared with.

A stream that follows the time of day or the day of the week (seasons.py) is compared with what its slot of the day or week had before, and its blocks are of windows
of the same slot. Each slot's looks come so much more seldom as there are slots, so the budget is as before. An alarm ends the epoch of all slots, which would
otherwise tell the same shift one after the other.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import effects, senses
from flyball.monitoring import spread as spreads
from flyball.monitoring.drift_words import moved
from flyball.monitoring.exchangeable import BLOCKS
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.reference import Reference
from flyball.monitoring.senses import Sensed
from flyball.monitoring.spread import Spread
from flyball.monitoring.streams import Stream
from flyball.monitoring.traits import Traits, WindowTraits
from flyball.monitoring.window import Window
from flyball.monitoring.window_counts import Profile
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats import distances, multiple

LOOKS = (0.77, 0.05, 0.05, 0.05)
"""Parts of the drift budget: a window by itself, and blocks of 3, 9 and 27. A jump is what costs most while it waits. The rest is kept for what the
combination of a stream's senses errs by: up to a fifth at correlations near 0.6, measured."""
HIGHEST_LEVEL = 0.1
"""Of a single look: the combination of p-values is exact for small levels only. A block of 27 would be allowed more where the budget is generous."""
PREDICTION_WEIGHT = 0.2
"""Least share of the budget that the predictions have: what moves them matters most, and among a hundred features they would wait longest."""
LIKE_BEFORE = 0.2
"""p-value from which on the windows after an alarm count as like the reference again. A shift that is alarmed in nine windows of ten gives one so large in 1 window
of 100; one that is alarmed in half of them in 1 of 10, and is told again (simulated)."""
ALARM_TEACHES = 2.0
"""Times the furthest difference seen before. Simulated with days that differ by storms or heavy tails: at 1 false alarms come to 1.6 times the budget, at 2 within it."""
KINDS = {"prediction": FindingKind.PREDICTION_DRIFT, "joint": FindingKind.JOINT_DRIFT}

Floats = NDArray[np.float64]


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream's next window is compared with."""

    pool: tuple[int, ...] = ()
    """Counts of the windows of this epoch; empty: none yet."""
    parts: tuple[tuple[int, ...], ...] = ((), (), ())
    """Of them, those of the unfinished block of 3, 9 and 27."""
    windows: int = 0
    """In this epoch."""
    from_reference: bool = True
    """The reference's counts belong to the epoch; False since an alarm."""
    spreads: tuple[Spread, ...] = ()
    """The reference's, with the windows judged since; of one that alarmed, a part (ALARM_TEACHES). Empty: nothing to add to the reference's."""
    alarms: int = 0
    last_alarm: str = ""
    """Window at whose end it last fired."""
    alarm_block: int = 1
    """Windows that it took."""
    accepted: bool = False
    """A person took what came since the alarm as normal: the reference is not what windows are compared with again, like it or not."""
    slots: tuple["StreamState", ...] = ()
    """By slot of the stream's season: what its windows are compared with. Alarms are counted above. Empty: no season."""


class DriftState(msgspec.Struct, frozen=True, kw_only=True):
    """All streams of one unit since it became champion."""

    streams: dict[str, StreamState] = {}
    windows: int = 0
    """Judged so far."""
    last_window: str = ""
    """The same window judged again changes nothing."""
    bins: str = ""
    """Digest of the bins that the counts are of, where several references are about; empty: not told."""


class DriftReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: DriftState
    distances: dict[str, float]
    """Stream → Jensen–Shannon distance to the reference, in [0, 1]; raw, for people."""
    note: str = ""
    """What was not tested, and why."""


class Look(NamedTuple):
    """One stream's window, or block of windows, beside what came before it."""

    stream: Stream
    size: int
    """Windows."""
    counts: Floats
    before: Floats
    sensed: Sensed
    p: float
    """Of all senses together."""
    beside: str = ""
    """The windows that it is compared with, where these are not all before it."""


def judge(
    reference: Reference,
    state: DriftState,
    profile: Profile,
    window: Window,
    policy: MonitorPolicy,
    traits: WindowTraits | None = None,
) -> DriftReading:
    """Judge one closed window. Windows are to come in order of time, each once: a second look at the last one changes nothing. `traits`: of its rows, to say
    how far numbers lie that are beyond the reference's.

    What its findings do to the model, and so whether they page, is said by `harm.weigh` alone.
    """
    usual = {stream.name: stream.counts for stream in streams_of(reference, window)}
    seen = tuple(stream for stream in reference.streams if _n(profile, stream) > 0)
    far = {each.name: round(distances.js_distance(usual[each.name], profile.counts[each.name]), 6) for each in seen}
    if window.id == state.last_window:
        return DriftReading(findings=(), state=state, distances=far, note="this window was judged before")
    if profile.rows < policy.min_rows:
        note = f"{profile.rows} rows are fewer than min_rows {policy.min_rows}: shown, not tested"
        return DriftReading(findings=(), state=state, distances=far, note=note)
    tested = tuple(stream for stream in seen if stream.role == "prediction" or _n(profile, stream) >= policy.min_rows)
    states = dict(state.streams)
    begun: dict[str, StreamState] = {}
    looks: list[Look] = []
    for stream in tested:
        counts = np.asarray(profile.counts[stream.name], dtype=np.float64)
        begun[stream.name] = _begun(states.get(stream.name), stream)
        own, states[stream.name] = _looked(stream, begun[stream.name], counts, window)
        looks += own
    alarmed = _alarmed(looks, weights_of(reference), policy)
    findings = []
    for look, spent in alarmed:
        name = look.stream.name
        its_own = traits.columns.get(name) if traits is not None and look.size == 1 else None
        findings.append(_finding(look, window, spent, policy, its_own))
        own = [each for each in looks if each.stream.name == name]
        states[name] = _ended(_taught_by_alarm(look.stream, begun[name], own, window), window, look.size)
    moved_on = msgspec.structs.replace(state, streams=states, windows=state.windows + 1, last_window=window.id)
    return DriftReading(findings=tuple(findings), state=moved_on, distances=far, note=_left_out(reference, profile, policy))


def streams_of(reference: Reference, window: Window) -> tuple[Stream, ...]:
    """As a window is compared with them: where one follows a season, the reference's counts and spreads are those of the window's slot."""
    slots = [stream.slot_of(window) for stream in reference.streams]
    return tuple(stream if slot is None else stream.in_slot(slot) for stream, slot in zip(reference.streams, slots, strict=True))


def begin_anew(state: DriftState, stream: str) -> DriftState:
    """A person has seen a stream's alarm: blocks of windows begin with the next one. What they are compared with stays."""
    known = state.streams.get(stream)
    if known is None:
        return state
    return msgspec.structs.replace(state, streams=state.streams | {stream: _anew(known)})


def accept(state: DriftState, stream: str) -> DriftState:
    """A person takes what a stream has been since its last alarm as the new normal. Where it has become like the reference again, that is normal already."""
    anew = begin_anew(state, stream)
    known = anew.streams.get(stream)
    return anew if known is None else msgspec.structs.replace(anew, streams=anew.streams | {stream: _accepted(known)})


def weights_of(reference: Reference) -> dict[str, float]:
    """Each stream's share of the budget; sums to one."""
    predictions = [stream.name for stream in reference.streams if stream.role == "prediction"]
    features = [stream.name for stream in reference.streams if stream.role != "prediction"]
    if not predictions:
        return {name: 1.0 / len(features) for name in features}
    share = max(PREDICTION_WEIGHT, len(predictions) / len(reference.streams)) if features else 1.0
    return {name: share / len(predictions) for name in predictions} | {name: (1.0 - share) / len(features) for name in features}


def _begun(known: StreamState | None, stream: Stream) -> StreamState:
    """A stream's state, with one for each slot of its season."""
    if known is None:
        known = StreamState(spreads=stream.spreads)
    if stream.season is None or known.slots:
        return known
    slots = tuple(StreamState(spreads=stream.in_slot(slot).spreads) for slot in range(len(stream.season.counts)))
    return msgspec.structs.replace(known, slots=slots)


def _looked(stream: Stream, known: StreamState, counts: Floats, window: Window) -> tuple[list[Look], StreamState]:
    """At one window of a stream, in its slot where it has one; and its state after that."""
    slot = stream.slot_of(window)
    if stream.season is None or slot is None:
        looks = _looks(stream, known, counts)
        return looks, _step(stream, known, counts, looks)
    there, before = stream.in_slot(slot), known.slots[slot]
    looks = [look._replace(beside=stream.season.words(window)) for look in _looks(there, before, counts)]
    slots = (*known.slots[:slot], _step(there, before, counts, looks), *known.slots[slot + 1 :])
    return looks, msgspec.structs.replace(known, slots=slots)


def _anew(known: StreamState) -> StreamState:
    slots = tuple(_anew(slot) for slot in known.slots)
    return msgspec.structs.replace(known, parts=StreamState().parts, windows=0, slots=slots)


def _accepted(known: StreamState) -> StreamState:
    accepted = known.accepted or not known.from_reference
    return msgspec.structs.replace(known, accepted=accepted, slots=tuple(_accepted(slot) for slot in known.slots))


def _n(profile: Profile, stream: Stream) -> int:
    return sum(profile.counts.get(stream.name, ()))


def _left_out(reference: Reference, profile: Profile, policy: MonitorPolicy) -> str:
    """Features of which too few values were captured to say anything: never called drifted, and never said to be well."""
    features = [(stream.name, _n(profile, stream)) for stream in reference.streams if stream.role != "prediction"]
    none = [name for name, n in features if n == 0]
    few = [f"{name} ({n} values, fewer than min_rows {policy.min_rows})" for name, n in features if 0 < n < policy.min_rows]
    told = [f"not monitored, since no value was captured: {', '.join(none)}"] if none else []
    return "; ".join(told + ([f"not tested: {', '.join(few)}"] if few else []))


def _looks(stream: Stream, state: StreamState, counts: Floats) -> list[Look]:
    """The window, and each block that it completes; nothing while there is nothing to compare with."""
    pool = _known(stream, state)
    found = []
    for index, size in enumerate(BLOCKS):
        if (state.windows + 1) % size or (stream.spreads and index >= len(stream.spreads)):
            continue
        part = np.asarray(state.parts[index - 1], dtype=np.float64) if index and state.parts[index - 1] else np.zeros(counts.size)
        before = pool - part
        if before.sum() > 0:
            sensed, p = _sensed(stream, part + counts, before, state.spreads[index] if state.spreads else None)
            found.append(Look(stream, size, part + counts, before, sensed, p))
    return found


def _sensed(stream: Stream, counts: Floats, before: Floats, spread: Spread | None) -> tuple[Sensed, float]:
    """All senses and the p-value of them together. `spread`: how windows differ anyway; None: by chance alone."""
    sensed = senses.sensed(stream, counts, before)
    p = sensed.p
    if spread is not None:
        judged = spreads.p_values(spread, sensed.squares, sensed.size, float(before.sum() / counts.sum()))
        p = tuple(own if math.isnan(own) else max(own, of) for own, of in zip(p, judged, strict=True))
    return sensed, senses.combined(stream, p)


def _known(stream: Stream, state: StreamState) -> Floats:
    """All rows of the epoch so far."""
    pool = np.asarray(state.pool, dtype=np.float64) if state.pool else np.zeros(stream.n_bins)
    return pool + np.asarray(stream.counts, dtype=np.float64) if state.from_reference else pool


def _step(stream: Stream, state: StreamState, counts: Floats, looks: list[Look]) -> StreamState:
    windows = state.windows + 1
    parts = tuple(
        () if windows % size == 0 else _ints(counts + (np.asarray(part, dtype=np.float64) if part else 0.0))
        for size, part in zip(BLOCKS[1:], state.parts, strict=True)
    )
    pool = _ints(counts + (np.asarray(state.pool, dtype=np.float64) if state.pool else 0.0))
    stepped = msgspec.structs.replace(state, pool=pool, parts=parts, windows=windows, spreads=_taught(state.spreads, looks))
    return stepped if state.from_reference or state.accepted else _returned(stream, stepped)


def _taught(known: tuple[Spread, ...], looks: list[Look], most: float = math.inf) -> tuple[Spread, ...]:
    """With the looks' differences. `most`: times the furthest before that one counts for at most."""
    learned = list(known)
    for look in looks:
        if learned:
            place = BLOCKS.index(look.size)
            learned[place] = spreads.with_window(learned[place], look.sensed.squares, look.sensed.size, most)
    return tuple(learned)


def _taught_by_alarm(stream: Stream, known: StreamState, looks: list[Look], window: Window) -> StreamState:
    """As before the alarm, but for how far windows may differ: one that alarmed counts as ALARM_TEACHES times the furthest at most. All of it, and a broken
    window would hide whatever comes after; nothing, and days that are seldom far off would be told each time."""
    slot = stream.slot_of(window)
    before = known if slot is None else known.slots[slot]
    if not (before.from_reference or before.accepted):  # the end of a shift, compared with it, says nothing of that
        return known
    taught = msgspec.structs.replace(before, spreads=_taught(before.spreads, looks, ALARM_TEACHES))
    if slot is None:
        return taught
    return msgspec.structs.replace(known, slots=(*known.slots[:slot], taught, *known.slots[slot + 1 :]))


def _returned(stream: Stream, state: StreamState) -> StreamState:
    """An outage that has passed, or a false alarm: the reference is what windows are compared with again. Asked at 1, 3, 9, … times the alarm's windows, as the
    alarm was: where windows differ anyway, by how far blocks of about so many do."""
    times = state.windows / state.alarm_block
    if times not in (1, 3, 9, 27, 81):
        return state
    reference = np.asarray(stream.counts, dtype=np.float64)
    nearest = min(zip(BLOCKS, state.spreads, strict=False), key=lambda of: abs(of[0] - state.windows), default=(0, None))[1]
    _, p = _sensed(stream, np.asarray(state.pool, dtype=np.float64), reference, nearest)
    return msgspec.structs.replace(state, from_reference=True) if p > LIKE_BEFORE else state


def _ended(state: StreamState, window: Window, size: int) -> StreamState:
    """The epoch, of all slots."""
    slots = tuple(StreamState(spreads=slot.spreads, from_reference=False, alarm_block=size) for slot in state.slots)
    return StreamState(
        spreads=state.spreads,
        from_reference=False,
        alarms=state.alarms + 1,
        last_alarm=window.id,
        alarm_block=size,
        slots=slots,
    )


def _alarmed(looks: list[Look], weights: Mapping[str, float], policy: MonitorPolicy) -> list[tuple[Look, float]]:
    """Looks to be told, strongest first, and the part of the drift budget that each spends. A stream is told once a window, by its strongest look."""
    told: dict[str, tuple[Look, float]] = {}
    for size, part in zip(BLOCKS, LOOKS, strict=True):
        due = {look.stream.name: look for look in looks if look.size == size}
        moved_by = {
            name: effects.may_have_moved(look.stream, look.counts, look.before, policy.indifference) for name, look in due.items()
        }
        worth = {name: look.p if moved_by[name] else 1.0 for name, look in due.items()}
        named = multiple.benjamini_hochberg(worth, weights, min(part * size / policy.drift_run_length, HIGHEST_LEVEL))
        for name in named:
            if name not in told or due[name].p < told[name][0].p:
                told[name] = (due[name], part / len(named))
    return sorted(told.values(), key=lambda item: (item[0].p, -max(item[0].sensed.squares), item[0].stream.name))


def _ints(counts: Floats) -> tuple[int, ...]:
    return tuple(counts.astype(np.int64).tolist())


def _finding(look: Look, window: Window, spent: float, policy: MonitorPolicy, seen: Traits | None) -> Finding:
    stream, counts = look.stream, _ints(look.counts)
    kind = KINDS.get(stream.role, FindingKind.FEATURE_DRIFT)
    before = _ints(look.before)
    found, at_least = effects.told(stream, look.counts, look.before, seen)
    block = "one window" if look.size == 1 else f"{look.size} windows together"
    beside = f", compared with {look.beside}" if look.beside else ""
    budget = "the drift budget" if policy.drift_share < 1.0 else "the budget"
    evidence = Evidence(
        name="drift_p_value",
        value=float(f"{look.p:.3g}"),
        n=sum(counts),
        since=window.start if look.size == 1 else None,
        until=window.end,
        method="two-sample permutation p-values (rank, mean, scale, likelihood ratio, Fisher) against all rows before, Cauchy combination (Liu & Xie 2020)",
        inputs=hashlib.sha256(repr((stream.name, before, counts)).encode()).hexdigest(),
        note=f"{block}{beside}: a look that spends {LOOKS[BLOCKS.index(look.size)]:.0%} of {budget}, one false alarm in {policy.drift_run_length:g} windows",
    )
    return Finding(
        id=finding_id(kind, window, stream.name),
        kind=kind,
        model=window.model,
        unit=window.unit,
        subject=stream.name,
        window_start=window.start,
        window_end=window.end,
        effect=found["js"],
        effect_unit="Jensen–Shannon distance",
        evidence=evidence,
        share_of_budget=round(policy.drift_share * spent, 6),
        words=f"{stream.name}: {moved(stream, counts, before)} (distance {found['js']:.3f}){beside}",
        effects=found,
        at_least=at_least,
    )


def finding_id(kind: FindingKind, window: Window, subject: str) -> str:
    """From content: the same window never raises it twice."""
    return "f-" + hashlib.sha256(f"{kind}\0{window.id}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
