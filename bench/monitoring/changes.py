"""Known changes in streams of errors: how late, beside River's detectors, when all raise as many false alarms."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.table import Table as Drawn

from bench.monitoring.frames import Floats, Frame
from bench.monitoring.peers import Missing, Worker
from bench.monitoring.streams_of_errors import Errors, all_errors
from bench.serving.rounds import tell
from flyball.stats import loss_watch

KNOBS: dict[str, tuple[float, ...]] = {
    "ADWIN": (1e-8, 1e-5, 1e-4, 0.0005, 0.002, 0.01, 0.05, 0.2, 0.5),
    "KSWIN": (1e-7, 1e-6, 1e-5, 1e-4, 0.001, 0.005),
    "Page–Hinkley": (800.0, 400.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 3.0),
    "DDM": (6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0),
    "HDDM_A": (1e-16, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 0.001, 0.005, 0.02, 0.1),
    "HDDM_W": (1e-16, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 0.001, 0.005, 0.02, 0.1),
}
"""River's detectors → settings of the one knob, the least sensitive first."""
DEFAULTS = {"ADWIN": 0.002, "KSWIN": 0.005, "Page–Hinkley": 50.0, "DDM": 3.0, "HDDM_A": 0.001, "HDDM_W": 0.001}
SLOW = ("KSWIN",)
"""A test of two samples at every row: an eighth of the streams."""
SHARES = (4.0, 2.0, 1.0, 0.5, 0.25)
"""Flyball's run length is multiplied by these to find the one with as many false alarms."""


@dataclass(frozen=True)
class Plan:
    streams: int
    """Without change, to choose the knob by; as many again to count false alarms on."""
    periods: int
    """Length of each, in times of the rows in which one false alarm is allowed."""
    changes: int
    """Of each table, at most."""
    slow: bool
    """Whether the slow detectors take part."""


QUICK = Plan(8, 1, 1, slow=False)
MODERATE = Plan(24, 1, 4, slow=True)
FULL = Plan(200, 2, 4, slow=True)


class Detector(Protocol):
    name: str
    knobs: tuple[float, ...]
    """The least sensitive first."""
    default: float

    def alarms(self, baseline: Floats, streams: Sequence[Floats], knob: float) -> list[list[int]]:
        """Rows of each stream, which follows the baseline, at which it alarmed."""
        ...


class OfRiver:
    def __init__(self, worker: Worker, name: str) -> None:
        self.name, self.knobs, self.default, self._worker = name, KNOBS[name], DEFAULTS[name], worker

    def alarms(self, baseline: Floats, streams: Sequence[Floats], knob: float) -> list[list[int]]:
        whole = [_frame(np.concatenate([baseline, stream])) for stream in streams]
        self._worker.ask(whole[:1], do="fit", detector=self.name, knob=knob)
        found = self._worker.ask(whole, do="alarms")
        return [[at - baseline.size for at in rows if at >= baseline.size] for rows in found]


def _frame(values: Floats) -> Frame:
    return Frame({"value": values}, np.zeros(values.size), np.zeros(values.size))


class OfFlyball:
    def __init__(self, per_rows: int) -> None:
        self.name, self.knobs, self.default = "Flyball", tuple(per_rows * share for share in SHARES), float(per_rows)

    def alarms(self, baseline: Floats, streams: Sequence[Floats], knob: float) -> list[list[int]]:
        started = loss_watch.start(baseline.tolist(), max(knob, 30.0))
        return [_watched(started, stream) for stream in streams]


def _watched(watch: loss_watch.LossWatch, stream: Floats) -> list[int]:
    found = []
    for place, value in enumerate(stream.tolist()):
        moved_on = loss_watch.advance(watch, value)
        if moved_on.alarms > watch.alarms:
            found.append(place)
        watch = moved_on
    return found


@dataclass(frozen=True)
class Line:
    """A detector at one setting on one change."""

    stream: str
    detector: str
    setting: str
    knob: float
    false_alarms: int
    allowed: float
    """Of those streams without change."""
    quiet: int
    """Alarms on the real rows between baseline and change."""
    delay: float
    """Rows; infinite: not seen."""


@dataclass
class Told:
    lines: list[Line] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def measure(data: Path, root: Path | None, plan: Plan) -> Told:
    told = Told()
    try:
        worker: Worker | None = Worker(root, "river", "river_worker.py")
    except Missing as why:
        worker = None
        told.skipped.append(f"river: {why}")
    if not plan.slow:
        told.skipped.append(f"{', '.join(SLOW)}: too slow for a quick run")
    for errors in all_errors(data, plan.changes):
        if isinstance(errors, str):
            told.skipped.append(errors)
            continue
        detectors: list[Detector] = [OfFlyball(errors.per_rows)]
        detectors += [OfRiver(worker, name) for name in KNOBS if plan.slow or name not in SLOW] if worker else []
        for detector in detectors:
            begun = time.perf_counter()
            told.lines += _of(errors, detector, plan)
            tell(f"changes {errors.name}, {detector.name}: {time.perf_counter() - begun:.0f} s")
    if worker:
        worker.close()
    return told


def _of(errors: Errors, detector: Detector, plan: Plan) -> list[Line]:
    """As it comes, and at the most sensitive setting that keeps to the allowed false alarms on streams made for that."""
    streams = plan.streams // 8 if detector.name in SLOW else plan.streams
    rows = errors.per_rows * plan.periods
    allowed = float(streams * plan.periods)
    first = [errors.resampled(rows, seed) for seed in range(streams)]
    second = [errors.resampled(rows, 10_000 + seed) for seed in range(streams)]
    lines = [_line(errors, detector, "as it comes", detector.default, second, allowed)]
    equal = most_sensitive(detector.knobs, allowed, lambda knob: _count(detector, errors, first, knob))
    if equal is not None:
        lines.append(_line(errors, detector, "equal", equal, second, allowed))
    return lines


def most_sensitive(knobs: Sequence[float], allowed: float, alarms: Callable[[float], int]) -> float | None:
    """The last of the settings, least sensitive first, before the first that alarms more often than allowed; None: the first does.

    >>> most_sensitive((1.0, 2.0, 3.0), 8, {1.0: 0, 2.0: 8, 3.0: 9}.__getitem__)
    2.0
    """
    found = None
    for knob in knobs:
        if alarms(knob) > allowed:
            break
        found = knob
    return found


def _count(detector: Detector, errors: Errors, streams: Sequence[Floats], knob: float) -> int:
    return sum(map(len, detector.alarms(errors.baseline, streams, knob)))


def _line(errors: Errors, detector: Detector, setting: str, knob: float, streams: Sequence[Floats], allowed: float) -> Line:
    real = detector.alarms(errors.baseline, [np.concatenate([errors.quiet, errors.after])], knob)[0]
    seen = [at - errors.quiet.size for at in real if at >= errors.quiet.size]
    return Line(
        errors.name, detector.name, setting, knob, _count(detector, errors, streams, knob), allowed,
        len(real) - len(seen), float(seen[0]) if seen else math.inf,
    )  # fmt: skip


def drawn(told: Told) -> Drawn:
    table = Drawn(
        "change at row",
        "detector",
        "",
        "knob",
        "false alarms (allowed)",
        "on the real rows before",
        "delay, rows",
        box=None,
        pad_edge=False,
    )
    last = ""
    for line in told.lines:
        table.add_row(
            line.stream if line.stream != last else "", line.detector, line.setting, f"{line.knob:g}",
            f"{line.false_alarms} ({line.allowed:g})", str(line.quiet), "not seen" if math.isinf(line.delay) else f"{line.delay:,.0f}",
        )  # fmt: skip
        last = line.stream
    return table


def summary(told: Told) -> Drawn:
    """All changes together, each detector once a setting."""
    table = Drawn(
        "all changes together", "", "changes", "seen", "median delay", "false alarms over allowed", box=None, pad_edge=False
    )
    for key in dict.fromkeys((line.detector, line.setting) for line in told.lines):
        mine = [line for line in told.lines if (line.detector, line.setting) == key]
        over = sum(line.false_alarms for line in mine) / sum(line.allowed for line in mine)
        seen = sum(math.isfinite(line.delay) for line in mine)
        delay = statistics.median(line.delay for line in mine)
        table.add_row(*key, str(len(mine)), str(seen), "not seen" if math.isinf(delay) else f"{delay:,.0f}", f"{over:.2f}")
    return table


def document(told: Told) -> dict[str, Any]:
    lines = [{**vars(line), "delay": line.delay if math.isfinite(line.delay) else None} for line in told.lines]
    return {"lines": lines, "skipped": told.skipped}
