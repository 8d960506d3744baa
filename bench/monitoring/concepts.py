"""Does it see that the same rows mean something else? Labels flipped in a part of one leaf of a small tree, judged from labels, at equal false alarms."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table as Drawn

from bench.monitoring import power
from bench.monitoring.data import Absent, Table, encoded, load
from bench.monitoring.frames import START, Floats, Frame, Past
from bench.monitoring.injections import Change, Make, Rng
from bench.monitoring.nulls import Size, null, on_day
from bench.monitoring.peers import Missing, Worker
from bench.monitoring.power import Plan, Told
from bench.monitoring.subjects import Look, Random, losses_of, reference_of, scale_of, signature_of
from bench.serving.bars import Bar
from bench.serving.rounds import tell
from flyball.monitoring import calibration, concept, performance, slice_watch, slices
from flyball.monitoring.allowance import allowance_of
from flyball.monitoring.calibration import Calibration, Outcomes
from flyball.monitoring.concept import ConceptState
from flyball.monitoring.performance import PerformanceState
from flyball.monitoring.policy import SHARES, MonitorPolicy
from flyball.monitoring.reference import HoldoutScores, Reference
from flyball.monitoring.slice_watch import SliceState
from flyball.monitoring.slices import SliceReference, SliceRows
from flyball.monitoring.window import Window

PARTS = (5, 10, 20, 50)
"""Per cent of the leaf's labels that are flipped."""
LEAST_LEAF = 0.1
"""Share of the rows."""
LOOSER = (2.0, 1.0, 0.5, 0.25, 0.12, 0.06)
"""As in `power`: e-detectors keep well below what they promise, so it goes further."""
OF_LABELS = SHARES["performance"] + SHARES["concept"]
QUICK = Plan(("adult",), 1_000, 20_000, 5.0, 6, 2, 80, 20, 10)
MODERATE = Plan(("adult", "hotel", "employment"), 1_000, 20_000, 5.0, 8, 2, 80, 30, 10)
FULL = Plan(("adult", "hotel", "employment"), 1_000, 20_000, 1.0, 40, 5, 200, 30, 20)


def changes_of(frame: Frame) -> Iterator[Change]:
    """In the purest leaf, and in the one whose labels are most mixed: there a flip leaves the base rate as it is."""
    from sklearn.tree import DecisionTreeClassifier

    X = encoded(dict(frame.columns))
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=LEAST_LEAF, random_state=0).fit(X, frame.label)
    leaf = tree.apply(X)
    mixed = {int(each): abs(float(frame.label[leaf == each].mean()) - 0.5) for each in np.unique(leaf)}
    for words, of in (("purest", max(mixed, key=mixed.__getitem__)), ("most mixed", min(mixed, key=mixed.__getitem__))):
        inside = leaf == of
        told = f"{words} leaf ({100 * inside.mean():.0f} % of rows, {100 * frame.label[inside].mean():.0f} % positive)"
        for part in PARTS:
            yield Change(f"{told}: {part} % flipped", frozenset({"concept"}), _flipped(frame, inside, part / 100))


def _flipped(frame: Frame, inside: np.ndarray[Any, Any], part: float) -> Make:
    def make(number: int, n: int, draw: Rng) -> Frame:
        del number
        at = draw.integers(len(frame), size=n)
        rows, flips = frame.take(at), inside[at] & (draw.random(n) < part)
        return replace(rows, label=np.where(flips, 1.0 - rows.label, rows.label))

    return make


class Known(NamedTuple):
    """What three monitors of labels have learned of a holdout."""

    reference: Reference
    calibration: Calibration
    slices: SliceReference


class Seen(NamedTuple):
    """A window's labelled rows, as each of the monitors wants them."""

    scores: Floats
    labels: Floats
    outcomes: Outcomes
    slices: SliceRows


class LabelWatch:
    """`performance`, `concept` and slices, as the platform asks them: one budget, divided as it divides it."""

    columns = ("loss",)

    def __init__(self, known: Known, window: timedelta, budget_windows: float) -> None:
        self.known, self._window, self.number = known, window, 0
        self.policy = MonitorPolicy(
            window=window, budget_windows=budget_windows * OF_LABELS, min_rows=20, mature_share=0.95, label_delay=None, tolerance=0.01,
        )  # fmt: skip
        self._performance, self._concept, self._slices = PerformanceState(), ConceptState(), SliceState()

    def under(self, budget_windows: float) -> "LabelWatch":
        return LabelWatch(self.known, self._window, budget_windows)

    def fork(self) -> "LabelWatch":
        other = LabelWatch(self.known, self._window, 1.0)
        vars(other).update(vars(self))
        return other

    def count(self, frame: Frame) -> Seen:
        rows = SliceRows(
            slices.codes_of(self.known.slices.features, frame.columns),
            losses_of(frame, None),
            np.zeros(len(frame), dtype=np.int64),
        )
        table = frame.score.reshape(-1, 1)
        return Seen(table, frame.label, calibration.outcomes_of(table, frame.label), rows)

    def judge(self, seen: Seen) -> Look:
        start = START + self.number * self._window
        window = Window(model="shop", unit="u", start=start, end=start + self._window)
        half = allowance_of(self.policy, "concept", 0.5)
        harmed = performance.judge(self.known.reference, self._performance, (seen.scores, seen.labels), window, self.policy)
        changed = concept.judge(self.known.calibration, self._concept, seen.outcomes, window, half)
        sliced = slice_watch.judge(self.known.slices, self._slices, seen.slices, window, half)
        self._performance, self._concept, self._slices = harmed.state, changed.state, sliced.state
        self.number += 1
        named = tuple(["concept"] * len(changed.findings + sliced.findings) + ["loss"] * len(harmed.findings))
        found = harmed.findings + changed.findings + sliced.findings
        return Look(bool(found), named, np.zeros(1), any(finding.pages for finding in found))

    def look(self, frames: list[Frame]) -> list[Look]:
        return [self.judge(self.count(frame)) for frame in frames]


def watch_of(past: Past, budget_windows: float) -> LabelWatch:
    frame = past.reference
    signature, losses = signature_of(frame), losses_of(frame, None)
    held = HoldoutScores(frame.score.reshape(-1, 1), losses, frame.event_us)
    blocks = slices.window_numbers(len(frame), frame.event_us, past.window)
    known = Known(
        reference_of(frame, past.window),
        calibration.build(signature, held, frame.label, past.window, scale_of(frame)),
        slices.build(signature, frame.columns, losses, blocks),
    )
    return LabelWatch(known, past.window, budget_windows)


class LossTest:
    """The window's mean Brier loss against the holdout's, by a two-sample z-test: rows taken as independent."""

    name, memory = "z-test of the loss", False

    def __init__(self, per_window: float) -> None:
        self._rate = per_window

    def watch(self, past: Past) -> "LossTest":
        self.columns, self._known = ("loss",), losses_of(past.reference, None)
        return self

    def look(self, frames: list[Frame]) -> list[Look]:
        from scipy.special import ndtri

        said = []
        for frame in frames:
            now, then = losses_of(frame, None), self._known
            z = (now.mean() - then.mean()) / math.sqrt(now.var() / now.size + then.var() / then.size)
            said.append(Look(bool(z > ndtri(1.0 - self._rate)), ("loss",), np.asarray([z])))
        return said

    def fork(self) -> "LossTest":
        return self


class Realised:
    """NannyML's realised ROC AUC, accuracy and F1."""

    name, memory = "nannyml", False

    def __init__(self, root: Path | None) -> None:
        self._worker = Worker(root, "nannyml", "nannyml_realised.py")

    def watch(self, past: Past) -> "Realised":
        self.columns = tuple(self._worker.ask([_answers(past.reference)], do="fit", window_rows=past.window_rows))
        return self

    def look(self, frames: list[Frame]) -> list[Look]:
        said = self._worker.ask([_answers(frame) for frame in frames], do="judge")
        scores, alarms = np.asarray(said["scores"], dtype=float), np.asarray(said["alarms"])
        return [Look(bool(alarm.any()), ("loss",), row) for row, alarm in zip(scores, alarms, strict=True)]

    def fork(self) -> "Realised":
        return self

    def close(self) -> None:
        self._worker.close()


def _answers(frame: Frame) -> Frame:
    return replace(frame, columns={"y_true": frame.label, "y_pred": (frame.score >= 0.5).astype(float)})


def measure(data: Path, plan: Plan, root: Path | None) -> tuple[list[Told], dict[str, str]]:
    told: list[Told] = []
    skipped: dict[str, str] = {}
    rivals: list[Any] = [LossTest(plan.per_100 / 100), Random(plan.per_100 / 100)]
    try:
        rivals.append(Realised(root))
    except Missing as why:
        skipped["nannyml"] = str(why)
    for name in plan.tables:
        try:
            table = load(data, name)
        except Absent as absent:
            skipped[name] = str(absent)
            continue
        told.append(on_table(table, plan, rivals))
    for rival in rivals:
        if isinstance(rival, Realised):
            rival.close()
    return told, skipped


def on_table(table: Table, plan: Plan, rivals: Sequence[Any]) -> Told:
    told = Told(table.name)
    changes = list(changes_of(table.frame))
    told.changes = {change.name: change for change in changes}
    size = Size(len(table.frame.columns), plan.window_rows, plan.reference_rows)
    seen = []
    for draw in range(plan.draws):
        stream = null(table, size, plan.calibration + plan.before, draw).stream
        quiet = [stream.make(number) for number in range(stream.count)]
        played = {
            (change.name, replay): [
                on_day(change.make(k, plan.window_rows, np.random.default_rng([43, draw, place, replay, k])), stream.count + k)
                for k in range(plan.after)
            ]
            for place, change in enumerate(changes)
            for replay in range(plan.replays)
        }
        seen.append(power.Seen(watch_of(stream.past, 100.0 / plan.per_100), stream.past, quiet, played))
        for rival in rivals:
            power.memoryless(rival, seen[-1], plan, draw, told)
        seen[-1].forget()
        tell(f"concepts {table.name}: draw {draw + 1} of {plan.draws}")
    power.with_memory(seen, plan, told, LOOSER)
    for rival in rivals:
        power.equalised(rival.name, seen, plan, told)
    return told


def drawn(told: Told, plan: Plan) -> Drawn:
    return power.drawn(told, plan, first="told as a concept")


def bars(told: Told, plan: Plan) -> list[Bar]:
    return power.bars(told, plan)[:1]
