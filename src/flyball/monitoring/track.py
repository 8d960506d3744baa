"""One signal of operations over time: it warms up, is judged by its own residuals, and is quiet about an anomaly that was told."""

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from flyball.monitoring.window import Window
from flyball.stats import edetector, seasonal, tails
from flyball.stats.seasonal import Seasonal, Value

DAY_US = 86_400_000_000
HOUR_US = DAY_US // 24
FIT_WEEKS = 3
MOST_FIT_WEEKS = 6
FEWEST_FIT = 10
"""Windows of a week or more."""
FEWEST_SCORES = 20
REMEMBERED = 200
"""Scores kept: more than a week of hours."""
RISEN = 10.0
"""Of the detector: without anomaly it is above in about one window of ten at most."""
FAR = 3.0
"""Standard deviations: a score below it is not far, though it may be the highest ever."""
USUAL = 0.05
"""A window whose p-value is higher is a usual one."""
QUIET = 2
"""Usual windows in a row that end an anomaly."""
FURTHER = 2.0
"""Times the residual that was told."""


class Clock(NamedTuple):
    """Where a window stands in the week, in UTC."""

    number: int
    """Of the window since 1970."""
    slot: int
    """Of the week."""
    week: int
    day_slots: int
    week_slots: int
    per_week: int
    """Windows in a week, at least 1."""
    stride: int
    """Windows that share a slot: one of them is kept for the first fit."""
    width_us: int


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one signal."""

    warm_from: int = 0
    """Number of the first window of `warm`."""
    warm: tuple[float | None, ...] = ()
    """Logarithms of the values since, one of each stride, until the first fit; None: not known."""
    warm_noise: float = 0.0
    """Mean variance that counting leaves in them."""
    baseline: Seasonal | None = None
    past: tuple[float, ...] = ()
    """Scores of usual windows, oldest first."""
    pending: tuple[float, ...] = ()
    """Scores since the detector began to rise: they join `past` when it falls, and are forgotten when it alarms. An outage is not ranked among its own hours."""
    detectors: tuple[float, ...] = edetector.start(len(tails.LEVELS))
    rising_since: str = ""
    """Window at which the detector began to rise."""
    told: float = 0.0
    """Score of the anomaly that lasts; 0: none does."""
    told_windows: int = 0
    told_shift: float = 0.0
    """Mean distance of its windows from the usual, as a logarithm."""
    quiet: int = 0


class Step(NamedTuple):
    track: Track
    score: float | None
    """None: not tested."""
    p: float


def clock_of(window: Window) -> Clock:
    """Windows shorter than an hour share the hour's slot; those of a week or more have no season. A slot is as wide as the moments of the day are apart at which
    windows begin: those of ten hours begin at every even one, in five days of which no two are alike."""
    start = _micros(window.start)
    width = max(_micros(window.end) - start, 1)
    day_slots = min(24, DAY_US // math.gcd(width, DAY_US))
    week_slots = 1 if width >= 7 * DAY_US else 7 * day_slots
    since_monday = start + 3 * DAY_US  # 1970 began on a Thursday
    return Clock(
        number=start // width,
        slot=since_monday % (7 * DAY_US) * week_slots // (7 * DAY_US),
        week=since_monday // (7 * DAY_US),
        day_slots=day_slots,
        week_slots=week_slots,
        per_week=max(round(7 * DAY_US / width), 1),
        stride=max(HOUR_US // width, 1),
        width_us=width,
    )


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def scores_needed(clock: Clock) -> int:
    return max(FEWEST_SCORES, min(clock.per_week, REMEMBERED))


def is_ready(track: Track, clock: Clock) -> bool:
    """Whether its warm-up is over."""
    return track.baseline is not None and len(track.past) >= scores_needed(clock)


def step(track: Track, value: Value | None, clock: Clock, *, two_sided: bool, uniforms: tuple[float, float]) -> Step:
    """Judge one window's value; `settle` completes it once it is known whether it alarmed. None: the value is not known.

    `uniforms`: independent of one another: a count's place among its equals, and its score's among those of the past.
    """
    if track.baseline is None:
        return Step(_warmed(track, value, clock), None, 1.0)
    if value is None:
        return Step(after_gap(track), None, 1.0)
    residual = seasonal.residual(track.baseline, value, given_previous=not track.told, uniform=uniforms[0])
    score = float(f"{abs(residual) if two_sided else max(residual, 0.0):.4g}")
    p = tails.tail_p(track.past, score, uniforms[1], FAR)
    if not is_ready(track, clock):
        return Step(_learned(track, value, score), None, p)
    if track.told and score < FURTHER * track.told:
        return Step(_lasting(track, value, p, clock), None, p)
    return Step(msgspec.structs.replace(track, detectors=_bet(track, p)), score, p)


def settle(made: Step, value: Value | None, window: Window, *, alarmed: bool) -> Track:
    """The track after the window."""
    track, score = made.track, made.score
    if score is None or value is None:
        return track
    if alarmed:
        start = edetector.start(len(track.detectors))
        return msgspec.structs.replace(
            after_gap(track),
            detectors=start,
            rising_since="",
            told=max(score, 1.0),
            told_windows=0,
            told_shift=_shift(track, value),
            quiet=0,
        )
    if track.told:
        return track
    high = edetector.level(track.detectors) > RISEN
    since = (track.rising_since or window.start.isoformat()) if high else ""
    return _learned(msgspec.structs.replace(track, rising_since=since), value, score, wait=high)


def accept(track: Track) -> Track:
    """A person takes an anomaly that lasts as what is usual, before a week has made it so."""
    if not track.told or track.baseline is None:
        return track
    moved = msgspec.structs.replace(track.baseline, level=float(f"{track.baseline.level + track.told_shift:.6g}"), previous=0.0)
    return msgspec.structs.replace(track, baseline=moved, told=0.0, told_windows=0, told_shift=0.0, quiet=0)


def after_gap(track: Track) -> Track:
    """The last residual says nothing of the next one."""
    if track.baseline is None or track.baseline.previous == 0.0:
        return track
    return msgspec.structs.replace(track, baseline=msgspec.structs.replace(track.baseline, previous=0.0))


def _bet(track: Track, p: float) -> tuple[float, ...]:
    return tuple(float(f"{each:.8g}") for each in edetector.advance(track.detectors, tails.tail_bets(p)))


def _learned(track: Track, value: Value, score: float, *, wait: bool = False) -> Track:
    assert track.baseline is not None  # noqa: S101 - a score has a baseline
    pending = (*track.pending, score)[-REMEMBERED:]
    past = track.past if wait else (*track.past, *pending)[-REMEMBERED:]
    return msgspec.structs.replace(
        track, baseline=seasonal.advance(track.baseline, value), past=past, pending=pending if wait else ()
    )


def _shift(track: Track, value: Value) -> float:
    assert track.baseline is not None  # noqa: S101 - a score has a baseline
    return float(f"{value.log - seasonal.log_usual(track.baseline, value.slot):.6g}")


def _lasting(track: Track, value: Value, p: float, clock: Clock) -> Track:
    """The anomaly goes on, is over, or has become what is usual."""
    n, quiet = track.told_windows + 1, track.quiet + 1 if p > USUAL else 0
    shift = float(f"{track.told_shift + (_shift(track, value) - track.told_shift) / (n + 1):.6g}")
    if quiet >= QUIET:
        return msgspec.structs.replace(track, told=0.0, told_windows=0, told_shift=0.0, quiet=0)
    if n < max(clock.per_week, 7) or track.baseline is None:
        return msgspec.structs.replace(track, told_windows=n, told_shift=shift, quiet=quiet)
    return accept(msgspec.structs.replace(track, told_shift=shift))


def _warmed(track: Track, value: Value | None, clock: Clock) -> Track:
    """One more value for the first fit, and the fit when there are enough."""
    if clock.number % clock.stride:
        return track
    if not track.warm and value is None:
        return track
    first = track.warm_from if track.warm else clock.number
    missed = (clock.number - first) // clock.stride - len(track.warm)
    known = sum(item is not None for item in track.warm)
    log = None if value is None else float(f"{value.log:.5g}")
    noise = (
        track.warm_noise if value is None else float(f"{track.warm_noise + (value.noise - track.warm_noise) / (known + 1):.5g}")
    )
    warm = (*track.warm, *(None,) * max(missed, 0), log)
    most = _first_fit(clock)
    warm, first = warm[-2 * most :], first + clock.stride * max(len(warm) - 2 * most, 0)
    found = msgspec.structs.replace(track, warm_from=first, warm=warm, warm_noise=noise)
    return _fitted(found, clock) if sum(item is not None for item in warm) >= 0.75 * most and len(warm) >= most else found


def _first_fit(clock: Clock) -> int:
    """Values of the first fit: where windows begin at the same moments of a week only every so many weeks (of five hours: every five), so many weeks."""
    alike = clock.width_us // math.gcd(clock.width_us, 7 * DAY_US)
    weeks = max(FIT_WEEKS, min(alike, MOST_FIT_WEEKS))
    return max(weeks * 7 * DAY_US // clock.width_us // clock.stride, FEWEST_FIT)


def _fitted(track: Track, clock: Clock) -> Track:
    """Slots and weeks of earlier windows follow from that of this one: windows are equally long."""
    slots, weeks, logs = [], [], []
    begun_us = clock.number * clock.width_us + 3 * DAY_US
    for back, log in enumerate(reversed(track.warm)):
        if log is not None:
            place = (begun_us - back * clock.stride * clock.width_us) * clock.week_slots // (7 * DAY_US)
            slots.append(place % clock.week_slots)
            weeks.append(place // clock.week_slots)
            logs.append(log)
    earliest = min(weeks)
    order = range(len(logs) - 1, -1, -1)
    baseline = seasonal.fit(
        [logs[k] for k in order], [slots[k] for k in order], [weeks[k] - earliest for k in order], _sizes(clock), track.warm_noise
    )
    return msgspec.structs.replace(track, warm=(), warm_from=0, warm_noise=0.0, baseline=baseline)


def _sizes(clock: Clock) -> tuple[int, int]:
    """Slots of a day and of a week, as its baseline has them."""
    return min(clock.day_slots, clock.week_slots), clock.week_slots


def of_the_clock(track: Track, clock: Clock) -> Track:
    """It begins anew where it has learned other slots than there are: an earlier release made others of windows that do not divide a day."""
    known = track.baseline
    return track if known is None or (len(known.day), len(known.week)) == _sizes(clock) else Track()


def until_ready(track: Track, clock: Clock) -> int:
    """Windows until it is judged, at least; 0: it is."""
    if track.baseline is not None:
        return max(scores_needed(clock) - len(track.past), 0)
    most = _first_fit(clock)
    return max(most - len(track.warm), 1) * clock.stride + scores_needed(clock)
