"""Performance without labels: how far estimates are from what labels say later, and how often the truth lies in the interval."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table as Drawn

from bench.monitoring.frames import START, Floats, Frame
from bench.monitoring.peers import Missing, Worker
from bench.monitoring.scenarios import Scenario, all_scenarios
from bench.monitoring.subjects import losses_of, scale_of, signature_of
from bench.serving.rounds import tell
from flyball.monitoring import estimates
from flyball.monitoring.allowance import Allowance
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence

METRICS = {"binary": ("roc_auc", "accuracy"), "regression": ("mae", "rmse")}


class Estimate(NamedTuple):
    """Of one metric in one window. NaN: void."""

    value: float
    lower: float
    upper: float
    alarmed: bool = False
    why: str = ""
    """It is void."""


Estimated = dict[str, Estimate]
VOID = Estimate(math.nan, math.nan, math.nan)


def truth(frame: Frame) -> dict[str, float]:
    """What its labels say."""
    from sklearn.metrics import roc_auc_score

    if frame.task == "binary":
        return {
            "roc_auc": float(roc_auc_score(frame.label, frame.score)),
            "accuracy": float(((frame.score >= 0.5) == (frame.label > 0.5)).mean()),
        }
    error = frame.label - frame.score
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}


def as_before(scenario: Scenario, root: Path | None) -> list[Estimated]:
    """The dummy: nothing ever changes."""
    del root
    known = truth(scenario.past.reference)
    return [{name: Estimate(value, value, value) for name, value in known.items()} for _ in scenario.windows]


def of_nannyml(scenario: Scenario, root: Path | None) -> list[Estimated]:
    worker = Worker(root, "nannyml", "nannyml_estimates.py")
    try:
        task = scenario.past.reference.task
        worker.ask([_with_answers(scenario.past.reference)], do="fit", window_rows=scenario.past.window_rows, task=task)
        said = worker.ask([_with_answers(frame) for frame in scenario.windows], do="estimate")
    finally:
        worker.close()
    return [{name: Estimate(*values) for name, values in window.items()} for window in said]


def _with_answers(frame: Frame) -> Frame:
    answers: dict[str, Floats] = {"y_true": frame.label}
    if frame.task == "binary":
        answers["y_pred"] = (frame.score >= 0.5).astype(float)
    return frame.with_columns(answers)


def of_flyball(scenario: Scenario, root: Path | None) -> list[Estimated]:
    """Without labels, and with those of each window known when the next one comes (`trust`)."""
    del root
    return _of_flyball(scenario, labels=False)


def of_flyball_with_late_labels(scenario: Scenario, root: Path | None) -> list[Estimated]:
    del root
    return _of_flyball(scenario, labels=True)


def _of_flyball(scenario: Scenario, *, labels: bool) -> list[Estimated]:
    past = scenario.past
    frame, scale = past.reference, scale_of(past.reference)
    outcomes = (frame.score.reshape(-1, 1), frame.label)
    reference = estimates.build(signature_of(frame), frame.columns, frame.event_us, outcomes, past.window, scale)
    trust = estimates.Trust()
    state = estimates.AlarmState()
    allowance = Allowance(run_length=200.0, share=0.25, min_rows=20, tolerance=0.01)
    said: list[Estimated] = []
    for number, rows in enumerate(scenario.windows):
        start = START + number * past.window
        window = Window(model="shop", unit="u", start=start, end=start + past.window)
        found = estimates.estimate(reference, rows.columns, rows.score.reshape(-1, 1), window, trust)
        reading = estimates.judge(state, found, window, allowance)
        state = reading.state
        said.append({name: _estimate(found.metrics[name], bool(reading.findings), found.void) for name in METRICS[frame.task]})
        if labels:
            realised = float(losses_of(rows, scale).mean())
            trust = estimates.learn(trust, window.id, found.metrics["bounded_loss"], realised, found.loss_within)
    return said


def _estimate(evidence: Evidence, alarmed: bool, why: str) -> Estimate:  # noqa: FBT001 - what was said of the window
    if evidence.value is None or evidence.lower is None or evidence.upper is None:
        return VOID._replace(alarmed=alarmed, why=why)
    return Estimate(evidence.value, evidence.lower, evidence.upper, alarmed)


SUBJECTS: dict[str, Callable[[Scenario, Path | None], list[Estimated]]] = {
    "Flyball": of_flyball,
    "Flyball, labels a window late": of_flyball_with_late_labels,
    "nannyml": of_nannyml,
    "as in the reference": as_before,
}


@dataclass(frozen=True)
class Line:
    scenario: str
    subject: str
    metric: str
    windows: int
    void: int
    error: float
    """Mean absolute error of the estimates that are not void; NaN: all are."""
    covered: float
    """Share of them whose interval holds the truth."""
    width: float
    alarms: int
    moved: float
    """How far the truth went from the reference, at most."""
    why: str
    """The first void one is."""


@dataclass
class Told:
    lines: list[Line] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {"lines": [_plain(vars(line)) for line in self.lines], "windows": self.windows, "skipped": self.skipped}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def measure(data: Path, root: Path | None) -> Told:
    told = Told()
    for scenario in all_scenarios(data):
        if isinstance(scenario, str):
            told.skipped.append(scenario)
            continue
        known = [truth(frame) for frame in scenario.windows]
        for subject, ask in SUBJECTS.items():
            try:
                said = ask(scenario, root)
            except (Missing, RuntimeError) as why:
                told.skipped.append(f"{subject} on {scenario.name}: {why}")
                continue
            told.lines += [_line(scenario, subject, metric, said, known) for metric in METRICS[scenario.past.reference.task]]
            told.windows += [
                {"scenario": scenario.name, "subject": subject, "window": k, "truth": real,
                 "said": {name: _plain(each._asdict()) for name, each in window.items()}}
                for k, (window, real) in enumerate(zip(said, known, strict=True))
            ]  # fmt: skip
        tell(f"unlabelled {scenario.name}")
    return told


def _line(scenario: Scenario, subject: str, metric: str, said: Sequence[Estimated], known: Sequence[dict[str, float]]) -> Line:
    pairs = [(window[metric], real[metric]) for window, real in zip(said, known, strict=True)]
    there = [(each, real) for each, real in pairs if not math.isnan(each.value)]
    was = truth(scenario.past.reference)[metric]
    return Line(
        scenario.name, subject, metric, len(pairs), len(pairs) - len(there),
        _mean([abs(each.value - real) for each, real in there]),
        _mean([float(each.lower <= real <= each.upper) for each, real in there]),
        _mean([each.upper - each.lower for each, _ in there]),
        sum(each.alarmed for each, _ in pairs), max(abs(real - was) for _, real in pairs),
        next((each.why for each, _ in pairs if each.why), ""),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def drawn(told: Told) -> Drawn:
    table = Drawn(
        "windows", "metric (moved by at most)", "estimate of", "mean abs. error", "95 % holds", "width", "void", "alarms", "why void",
        box=None, pad_edge=False,
    )  # fmt: skip
    for line in told.lines:
        table.add_row(
            f"{line.scenario}: {line.windows}", f"{line.metric} ({line.moved:.3g})", line.subject, f"{line.error:.4g}",
            f"{line.covered:.2f}", f"{line.width:.3g}", str(line.void), str(line.alarms), line.why.partition(":")[0],
        )  # fmt: skip
    return table
