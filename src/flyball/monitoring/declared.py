"""Slices that the user declared: has the loss risen in one of them? Each is judged as all rows are (monitoring/performance.py), on its own rows.

A slice has no rows to spare: its rows are gathered over windows until there are LEAST_ROWS of them, in the holdout and in traffic alike, and such a stretch is what a
window is elsewhere. When it ends hangs on how many rows came and not on their losses, so stretches of traffic are exchangeable with those of the holdout where
windows are. Over slices weighted e-d-BH: all of them together keep to the run length, however many are declared. Nothing is searched, so nothing is granted
for luck.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import performance
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.cause_words import percent
from flyball.monitoring.drift import finding_id
from flyball.monitoring.performance import PerformanceState
from flyball.monitoring.recent_losses import Recent, WindowLoss
from flyball.monitoring.reference import Baseline
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.signature import ColumnType
from flyball.spec.slice_conditions import SliceCondition
from flyball.stats import multiple

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

LEAST_ROWS = 20
"""Labelled rows of a slice that are judged together."""
LEAST_STRETCHES = 3
"""Of the holdout: from two alone no interval of the baseline is worth anything."""


class SliceTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One declared slice since its unit became champion, or since it was declared."""

    where: str
    """What is meant by it; another condition begins anew."""
    holdout: float = 0.0
    """Mean bounded loss of its rows there."""
    judged: PerformanceState = PerformanceState()
    open_rows: int = 0
    """Of the stretch that is being filled."""
    open_losses: float = 0.0
    open_since: datetime | None = None
    beside: int = 0
    """All labelled rows since the last alarm, in the slice or not, that it is a part of."""


class DeclaredState(msgspec.Struct, frozen=True, kw_only=True):
    slices: dict[str, SliceTrack] = {}
    notes: dict[str, str] = {}
    """Slice → why it is not judged."""
    last_window: str = ""


class DeclaredReading(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    state: DeclaredState
    seen: dict[str, Evidence] = {}
    """Slice → mean bounded loss of its rows in this window."""


class Chosen(NamedTuple):
    """One slice: what was normal in it on the holdout, and which rows of a window are in it."""

    where: str
    baseline: Baseline
    inside: Bools
    """(n_rows,)"""


def subject_of(name: str) -> str:
    return f"slice {name}"


def inside(condition: SliceCondition, columns: Mapping[str, Any], types: Mapping[str, ColumnType]) -> Bools:
    """Which rows a slice has. (n_rows,) Numbers are float with NaN, categories text with ''; `columns` has those that the condition uses."""
    listed = [_plain(columns[name], types[name]) for name in condition.features]
    return np.fromiter(
        (condition.holds(dict(zip(condition.features, row, strict=True))) for row in zip(*listed, strict=True)), np.bool_
    )


def _plain(values: Any, of: ColumnType) -> list[Any]:
    """As people write them: whole numbers, true and false, null for what is missing."""
    if of is ColumnType.CATEGORY:
        return [value or None for value in values]
    kind = {ColumnType.INTEGER: int, ColumnType.BOOLEAN: bool}.get(of, float)
    return [kind(value) if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64).tolist()]


def baseline_of(losses: Floats, blocks: NDArray[np.int64], chosen: Bools) -> Baseline:
    """Of the holdout's rows in the slice. `blocks`: number of each row's window, ascending; all the same where times are not known.

    Stretches are of whole windows. Of a holdout with fewer windows than LEAST_STRETCHES they are of rows: how windows differ cannot be told of it, of any slice.
    """
    mine, numbers = losses[chosen], blocks[chosen]
    in_time = np.unique(blocks).size >= LEAST_STRETCHES
    ends = np.flatnonzero(np.diff(numbers)) + 1 if in_time else np.arange(1, mine.size)
    means, first = [], 0
    for end in (*ends.tolist(), mine.size):
        last = mine.size - end < LEAST_ROWS  # what is left after it would be no stretch of its own
        if end - first >= LEAST_ROWS and (not last or end == mine.size):
            means.append(float(f"{mine[first:end].mean():.6g}"))
            first = end
    whole = float(mine.mean()) if mine.size else 0.0
    return Baseline(mean=whole, n=int(mine.size), window_means=tuple(means), in_time=in_time)


def judge(
    chosen: Mapping[str, Chosen], losses: Floats, state: DeclaredState, window: Window, allowance: Allowance
) -> DeclaredReading:
    """Judge one mature window, once, in order of time. `losses`: bounded, of its labelled rows. Slices that are declared no more are forgotten."""
    if window.id == state.last_window:
        return DeclaredReading(findings=(), state=state)
    tracks = {name: _gathered(_track(state, name, each), each, losses, window) for name, each in chosen.items()}
    seen = {name: _seen(losses[each.inside], window) for name, each in chosen.items() if each.inside.any()}
    notes = {name: _unfit(each.baseline) for name, each in chosen.items() if _unfit(each.baseline)}
    tested = {name: each.baseline for name, each in chosen.items() if name not in notes}
    tracks |= {name: _stretched(baseline, tracks[name], allowance) for name, baseline in tested.items()}
    levels = {name: performance.level(tracks[name].judged) for name in tested}
    named = multiple.e_bh(levels, dict.fromkeys(levels, 1.0 / max(len(levels), 1)), allowance.run_length)
    since = {name: performance.recent_of(tested[name], tracks[name].judged) for name in named}
    findings = tuple(_finding(name, tracks[name], (tested[name], since[name]), window, allowance) for name in named)
    told = {
        name: msgspec.structs.replace(tracks[name], judged=performance.ended(tracks[name].judged, since[name]), beside=0)
        for name in named
    }
    moved_on = DeclaredState(slices=tracks | told, notes=notes, last_window=window.id)
    return DeclaredReading(findings=findings, state=moved_on, seen=seen)


def acknowledged(state: DeclaredState, name: str, normal_since: datetime | None) -> DeclaredState:
    """A person has seen an alarm of a slice. `normal_since`: takes its loss since then as normal; None: the holdout stays what it is compared with."""
    track = state.slices.get(name)
    if track is None:
        return state
    judged = performance.begin_anew(track.judged) if normal_since is None else performance.accept(track.judged, normal_since)
    anew = SliceTrack(where=track.where, holdout=track.holdout, judged=judged)
    return msgspec.structs.replace(state, slices=state.slices | {name: anew})


def _track(state: DeclaredState, name: str, of: Chosen) -> SliceTrack:
    known = state.slices.get(name)
    if known is not None and known.where == of.where:
        return known
    return SliceTrack(where=of.where, holdout=float(f"{of.baseline.mean:.6g}"))


def _unfit(baseline: Baseline) -> str:
    found = len(baseline.window_means)
    if found >= LEAST_STRETCHES:
        return ""
    if baseline.n < LEAST_ROWS * LEAST_STRETCHES:
        return f"not judged: {baseline.n} rows of the holdout's sample are in it, fewer than {LEAST_ROWS * LEAST_STRETCHES}"
    return (
        f"not judged: its {baseline.n:,} rows of the holdout's sample lie in too few windows: they make {found} stretches of whole windows "
        f"with at least {LEAST_ROWS} rows each, fewer than {LEAST_STRETCHES}"
    )


def _gathered(track: SliceTrack, of: Chosen, losses: Floats, window: Window) -> SliceTrack:
    mine = losses[of.inside]
    if not mine.size:
        return msgspec.structs.replace(track, beside=track.beside + losses.size)
    return msgspec.structs.replace(
        track, open_rows=track.open_rows + mine.size, open_losses=float(f"{track.open_losses + float(mine.sum()):.10g}"),
        open_since=track.open_since or window.start, beside=track.beside + losses.size,
    )  # fmt: skip


def _stretched(baseline: Baseline, track: SliceTrack, allowance: Allowance) -> SliceTrack:
    """With a bet on the stretch that is full, if one is."""
    if track.open_rows < LEAST_ROWS:
        return track
    mean = float(f"{track.open_losses / track.open_rows:.8g}")
    stretch = WindowLoss(start=track.open_since, mean=mean, n=track.open_rows)
    judged = performance.advance(baseline, track.judged, stretch, track.open_losses, allowance.tolerance)
    return msgspec.structs.replace(track, judged=judged, open_rows=0, open_losses=0.0, open_since=None)


def _seen(mine: Floats, window: Window) -> Evidence:
    return Evidence(
        name="bounded_loss", value=float(f"{mine.mean():.6g}"), n=int(mine.size), since=window.start, until=window.end
    )


def _finding(name: str, track: SliceTrack, told: tuple[Baseline, Recent], window: Window, allowance: Allowance) -> Finding:
    state, (baseline, (recent, last, since)) = track.judged, told
    normal = state.accepted or baseline
    where = "on the holdout" if state.accepted is None else "in what was accepted as normal"
    share = sum(item.n for item in state.past[-state.since_alarm :]) / max(track.beside, 1)
    evidence = Evidence(
        name="slice_harm_detector", value=round(performance.level(state), 3), n=state.windows, unit="stretches",
        since=window.start, until=window.end,
        method="bets on the mean and on the rank of stretches of the slice, Shiryaev–Roberts e-detector, e-d-BH over slices (arXiv 2203.03532, 2501.04130)",
        inputs=hashlib.sha256(repr((track.where, state.past)).encode()).hexdigest(),
        note=f"mean run length at least {allowance.run_length:g} windows without harm in any declared slice; {track.where}",
    )  # fmt: skip
    words = (
        f"{name} ({track.where}): mean loss {last:.4f} over its last {sum(item.n for item in recent)} labelled rows, "
        f"{normal.mean:.4f} {where}, {percent(share)} of rows"
    )
    return Finding(
        id=finding_id(FindingKind.PERFORMANCE, window, subject_of(name)), kind=FindingKind.PERFORMANCE, model=window.model,
        unit=window.unit, subject=subject_of(name), window_start=window.start, window_end=window.end,
        effect=round(last - normal.mean, 6), effect_unit="increase of the mean bounded loss in the slice", evidence=evidence,
        share_of_budget=allowance.share, words=f"{words}; {since.words}" if since else words,
        harm=round((last - normal.mean) * share, 6), changed_since=None if since is None else since.at, changed_between=None if since is None else since.between,
        norm=performance.norm_of(normal, allowance.tolerance, where),
    )  # fmt: skip
