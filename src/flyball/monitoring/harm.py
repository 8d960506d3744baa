"""What drift does to the model: the estimated increase of the mean bounded loss if this stream's marginal alone had moved.

Rows of a bin have the mean loss of the holdout's rows in that bin, shrunk towards the mean of all (stats/shrinkage); a window with other shares of rows in
the bins has another mean: Σ (q − p)·loss. That is exact where only this stream's marginal moved, and the rest follows it as before: it says nothing of a
world in which the same features mean something else. Bins that the holdout does not have (out of range, unseen, missing) have no known loss: there the
served model was asked what it makes of such values (sensitivity.py), and the change of its loss bounds the harm. A column that the model ignores can harm
only through the rows that come with it.

A fault of the pipe (quality.py) shows that the rest does not follow the stream as before: what a frozen or swapped column holds is not what the row is, and
losses of reference rows with such values say nothing of it. There the harm is what the model's answers lose without the column's values: when it is
shuffled, missing or unseen, whichever the fault made of them, and where it chose its rows as much as these rows can lose; of a column that the model
ignores, nothing.

Benign, of a column that the model uses: the upper end of the harm's interval lies below the tolerance, it is shown not to hurt. Of a column that it
ignores: the lower end does, it is not shown to hurt. Benign drift is shown and pages nobody.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import counting
from flyball.monitoring.quality import Fault
from flyball.monitoring.sensitivity import Probe, Sensitivity
from flyball.monitoring.streams import MISSING_BIN, UNSEEN_BIN, Stream, places_of
from flyball.records.findings import Finding
from flyball.stats import shrinkage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 20
"""Holdout rows of a bin outside the reference's range below which the model's probe speaks for it."""
ALPHA = 0.05
NORMAL = 1.959964
ALIKE = 1.15
"""Neighbouring bins err alike, and errors taken as independent are too small by a tenth: measured on tilted rows of the adult table, with a little more."""
ANY = Probe(gain=0.0, reach=0.5)
"""Of values that no probe speaks for: a bounded loss lies in [0, 1]."""
MISPLACED = (Fault.FROZEN, Fault.STUCK, Fault.SWAPPED, Fault.UNIT)
"""Values that are not the row's own."""
FAULTS = (*MISPLACED, Fault.MISSING, Fault.GONE, Fault.UNREADABLE, Fault.SPELLING)
TAIL = 2.0
"""A column that is frozen where its values are seldom costs more than a shuffled one: at the 99th percentile up to 1.8 times, measured on the adult table."""

FILE = "harm.json"
"""In a package."""


class BinLosses(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Each field but the last has one number a bin."""

    rows: tuple[int, ...]
    """Of the holdout."""
    excess: tuple[float, ...]
    """Mean loss, shrunk, minus that of all rows."""
    errors: tuple[float, ...]
    sensitivity: Sensitivity | None = None
    """None: not a feature, or not asked."""


class HarmTable(msgspec.Struct, frozen=True, kw_only=True):
    """Of a version's package. Encode with `records.codec`; some 100 kB for 100 streams."""

    format: int = 1
    mean: float
    """Bounded loss of the holdout."""
    rows: int
    streams: dict[str, BinLosses]


class Harm(NamedTuple):
    value: float
    lower: float
    """Of an interval that misses with chance ALPHA, at one look."""
    upper: float
    words: str
    benign: bool
    ignored: bool
    """The model does not look at it, and its rows are not seen to be harder."""


def build(
    streams: Sequence[Stream], values: Mapping[str, Any], losses: Floats, sensitivities: Mapping[str, Sensitivity]
) -> HarmTable:
    """From the holdout: `values` of each stream (features, joint directions, predictions), (n_rows,), and its bounded `losses` (n_rows,).

    A stream without values is left out. Raises DataError when their lengths differ or no loss is known.
    """
    seen = np.asarray(losses, dtype=np.float64)
    known = np.isfinite(seen)
    wrong = {
        stream.name: len(values[stream.name])
        for stream in streams
        if stream.name in values and len(values[stream.name]) != seen.size
    }
    if wrong or not known.any():
        found = f"{seen.size} losses, and values of {wrong}" if wrong else "a harm table without a loss"
        raise DataError(found, expected="one value and one loss for each row of the holdout")
    return HarmTable(
        mean=float(f"{seen[known].mean():.8g}"),
        rows=int(known.sum()),
        streams={
            stream.name: _losses(stream, places(stream, values[stream.name])[known], seen[known], sensitivities.get(stream.name))
            for stream in streams
            if stream.name in values
        },
    )


def places(stream: Stream, values: Any) -> Ints:
    """The bin of each value, (n_rows,): counted, they are `streams.bin_of`."""
    if stream.kind == "number":
        numbers = counting.numbers(values)
        found = np.searchsorted(np.asarray(stream.edges, dtype=np.float32), numbers, side="right") + 1
        return np.where(np.isnan(numbers), MISSING_BIN, found).astype(np.int64)
    names, codes = counting.codes(values)
    known = places_of(stream)
    return np.array([known.get(name, UNSEEN_BIN) for name in names], dtype=np.int64)[codes]


def estimate(table: HarmTable, stream: Stream, counts: Sequence[int], tolerance: float) -> Harm | None:
    """Harm of a window with these counts; None: nothing is known of the stream, or there are no rows."""
    own, total = table.streams.get(stream.name), sum(counts)
    if own is None or total == 0:
        return None
    now = np.asarray(counts, dtype=np.float64) / total
    reference = sum(stream.counts)
    then = np.asarray(stream.counts, dtype=np.float64) / max(reference, 1)
    moved = now - then
    outside = _outside(stream, own)
    inside = np.ones(now.size, dtype=bool)
    inside[list(outside)] = False
    excess = np.where(inside, np.asarray(own.excess), 0.0)
    value = float(moved @ excess)
    variance = float(np.sum((moved * np.where(inside, np.asarray(own.errors), 0.0)) ** 2))
    variance += _noise(now, excess) / total + _noise(then, excess) / max(reference, 1)
    value += sum(float(moved[place]) * probe.gain for place, probe in outside.items())
    half = ALIKE * NORMAL * math.sqrt(variance)
    # whoever the rows outside are, their loss changes by no more than the model makes of it
    up = sum(abs(float(moved[place])) * max(probe.reach - probe.gain, 0.0) for place, probe in outside.items())
    down = sum(abs(float(moved[place])) * max(probe.reach + probe.gain, 0.0) for place, probe in outside.items())
    lower, upper = max(value - half - down, -table.mean), min(value + half + up, 1.0 - table.mean)
    ignored = own.sensitivity is not None and not own.sensitivity.used
    benign = (lower if ignored else upper) < tolerance
    words = _words((value, lower, upper), ignored, benign, tolerance)
    return Harm(round(value, 6), round(lower, 6), round(upper, 6), words, benign, ignored and benign)


def weigh(
    findings: Iterable[Finding],
    table: HarmTable,
    streams: Sequence[Stream],
    counts: Mapping[str, Sequence[int]],
    tolerance: float,
) -> tuple[Finding, ...]:
    """Findings of streams with their harm, the most harmful first; columns that the model ignores are last of these, and others, of no stream, stay as they are, at
    the end.

    Findings are to come the strongest first: harms that their intervals do not tell apart are left in that order, whether an end of them reaches the tolerance
    or not. A column and those that follow it are estimated to harm alike, and what is ranked by noise names the wrong one. Harm that could not be estimated
    may be any. Faults that are benign each by itself are so only where all that they cost is: halves of a swap, or all columns of a join that failed.
    """
    of = {stream.name: stream for stream in streams}
    given = tuple(findings)
    mine, others = [each for each in given if each.subject in of], [each for each in given if each.subject not in of]
    seen = {each.subject: (table, of[each.subject], counts.get(each.subject, ()), tolerance) for each in mine}
    alone = {each.subject: of_fault(each.fault, *seen[each.subject]) for each in mine if each.fault in FAULTS}
    slight = {name: found.upper for name, found in alone.items() if found is not None and found.benign}
    ranked: list[_Ranked] = []
    for finding in mine:
        name, beside = finding.subject, sum(slight.values()) - slight.get(finding.subject, 0.0)
        found = of_fault(finding.fault, *seen[name], beside) if name in alone else estimate(*seen[name])
        if found is None:
            ranked.append(_Ranked(-math.inf, math.inf, finding))
        else:
            told = msgspec.structs.replace(
                finding, harm=found.value, pages=finding.pages and not found.benign, words=f"{finding.words}; {found.words}"
            )
            # how much it helps is no rank, nor is how hard the rows are of what is not looked at
            ends = (-math.inf, -math.inf) if found.ignored else (max(found.lower, 0.0), max(found.upper, 0.0))
            ranked.append(_Ranked(*ends, told))
    return (*(item.finding for item in _by_harm(ranked)), *others)


def of_fault(
    fault: str, table: HarmTable, stream: Stream, counts: Sequence[int], tolerance: float, beside: float = 0.0
) -> Harm | None:
    """Of one of FAULTS; None as of `estimate`, and where the model was not asked what it makes of the column. A column that is gone needs no counts, and what
    the model ignores none either. `beside`: what other faults of the window cost at worst that are benign by themselves."""
    own = table.streams.get(stream.name)
    if own is None or own.sensitivity is None:
        return None
    if not own.sensitivity.used:
        words = "the model ignores it, and what a fault wrote says nothing of the rows; nobody is called"
        return Harm(0.0, 0.0, 0.0, words, benign=True, ignored=True)
    if sum(counts) == 0 and fault != Fault.GONE:
        return None
    cost, worst, way = _cost(fault, own.sensitivity, stream, own, counts)
    cost = round(min(cost, 1.0), 6)
    upper = round(min(worst * cost, 1.0), 6)
    words = f"the model uses it: its losses on the holdout change by {cost:.4f} on average where so many values are {way}"
    if upper + beside < tolerance:
        words += f", too little for the tolerance {tolerance:g}; nobody is called"
    elif upper < tolerance:
        words += f", with the window's other faults up to {upper + beside:.4f}, no less than the tolerance {tolerance:g}"
    else:
        words += ", and what a fault wrote says no more"
    return Harm(cost, 0.0, upper, words, upper + beside < tolerance, ignored=False)


def _cost(fault: str, asked: Sensitivity, stream: Stream, own: BinLosses, counts: Sequence[int]) -> tuple[float, float, str]:
    """Mean loss that the column's values are worth; how many times as much it may be; and what became of them."""
    if fault == Fault.GONE:
        return asked.probes.get("missing", ANY).reach, 1.0, "missing"
    now = {place: times / sum(counts) for place, times in enumerate(counts)}
    if fault in MISPLACED:
        outside = {place: probe.reach for place, probe in _outside(stream, own).items() if now[place] > 0.0}
        inside = 1.0 - sum(now[place] for place in outside)
        there = sum(now[place] * reach for place, reach in outside.items())
        way = "another row's, or out of range" if outside else "another row's"
        return max(asked.shuffled_reach, inside * asked.shuffled_reach + there), TAIL, way
    if fault == Fault.MISSING:  # those that are there look as before: no chosen ones are missing
        return _lost(stream, now[MISSING_BIN]) * asked.probes.get("missing", ANY).reach, 1.0, "missing"
    # values of a form or a name are chosen ones, such as all above 1,000: the loss of their rows may be all that the model loses
    if fault == Fault.UNREADABLE:
        return min(asked.probes.get("missing", ANY).reach, now[MISSING_BIN]), 1.0, "unreadable"
    return min(asked.probes.get("unseen", ANY).reach, now[UNSEEN_BIN]), 1.0, "unknown to it"


def _lost(stream: Stream, missing: float) -> float:
    """Share of the values that the reference leads to expect: rows that never had one lose nothing, and are part of the probe's mean."""
    then = stream.counts[MISSING_BIN] / max(sum(stream.counts), 1)
    return max(missing - then, 0.0) / (1.0 - then) if then < 1.0 else 0.0


class _Ranked(NamedTuple):
    lower: float
    upper: float
    finding: Finding


def _by_harm(rest: list[_Ranked]) -> Iterator[_Ranked]:
    """Those whose interval reaches the highest lower end first, in the order in which they came; then the same of the others."""
    while rest:
        highest = max(item.lower for item in rest)
        yield from (item for item in rest if item.upper >= highest)
        rest = [item for item in rest if item.upper < highest]


def _losses(stream: Stream, bins: Ints, losses: Floats, sensitivity: Sensitivity | None) -> BinLosses:
    shrunk = shrinkage.group_means(bins, losses, stream.n_bins)
    return BinLosses(
        rows=tuple(np.bincount(bins, minlength=stream.n_bins).tolist()),
        excess=tuple(float(f"{value:.5g}") for value in shrunk.excess.tolist()),
        errors=tuple(float(f"{value:.4g}") for value in shrunk.errors.tolist()),
        sensitivity=sensitivity,
    )


def _outside(stream: Stream, own: BinLosses) -> dict[int, Probe]:
    """Bins of values that the holdout hardly has, and what the model makes of such values."""
    probes = own.sensitivity.probes if own.sensitivity is not None else {}
    named = {MISSING_BIN: "missing"}
    named |= {UNSEEN_BIN: "unseen"} if stream.kind == "category" else {1: "below", stream.n_bins - 1: "above"}
    few = {place: what for place, what in named.items() if own.rows[place] < FEWEST}
    if own.sensitivity is not None and not own.sensitivity.used:
        return dict.fromkeys(few, Probe(gain=0.0, reach=0.0))
    return {place: probes.get(what, ANY) for place, what in few.items()}


def _noise(shares: Floats, excess: Floats) -> float:
    """Variance of a row's excess under these shares."""
    mean = float(shares @ excess)
    return max(float(shares @ excess**2) - mean**2, 0.0)


def _words(ends: tuple[float, float, float], ignored: bool, benign: bool, tolerance: float) -> str:  # noqa: FBT001 - two facts
    value, lower, upper = ends
    told = f"mean loss {value:+.4f} by it alone ({lower:+.4f} to {upper:+.4f})"
    if upper < tolerance:
        told += f", less than the tolerance {tolerance:g}"
    if ignored:
        told = (
            f"the model ignores it{', and its rows are not seen to be harder' if benign else ', but its rows are harder'}; {told}"
        )
    return f"{told}; nobody is called" if benign else told
