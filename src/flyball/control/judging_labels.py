"""What the labels of a mature window say of all its rows: metrics, and the rows and weights that its loss is judged by."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.capture.join import LabelJoin
from flyball.capture.joined import LabelledRows, Span
from flyball.control.observe import Observation
from flyball.control.own_metrics import names, own_metrics
from flyball.control.samples import SampledRows
from flyball.control.world import World, micros
from flyball.monitoring import selective
from flyball.monitoring.live import WindowRows
from flyball.monitoring.performance import seen_of
from flyball.monitoring.realised import Weighting, realised, refused
from flyball.monitoring.reference import Reference
from flyball.monitoring.selective import Features, of_places
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import RowLosses, WindowSummary
from flyball.stats.losses import bounded_loss

BEFORE = 8
"""Windows whose labels tell what the next one's hang on: fewer rows than theirs may not show it, and were taken for a plain sample otherwise."""

NEARLY_ALL = 0.99
"""Part of its rows, and of its labels, by which a window is judged anew when its labels are corrected: a hundredth that is not there moves a metric by
little, a correction that is passed over by all that was wrong. Of much less, no judgement is better than that of all."""


class Read(NamedTuple):
    """All that a window's metrics are of, as it is known now."""

    asked: WindowRows
    ids: list[str]
    """Of what was asked."""
    rows: LabelledRows

    @property
    def digest(self) -> str:
        parts = (np.ascontiguousarray(part).tobytes() for part in (*self.asked, *self.rows))
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


class Judged(NamedTuple):
    """A mature window's labels: what they say, and whether they are all that could have come."""

    metrics: dict[str, Evidence]
    scores: Any
    labels: Any
    weighting: Weighting | None
    """None: a plain sample of the rows, or refused."""
    selective: str
    """Why labels are no plain sample of the rows; empty: they are."""
    refused: bool
    """They say nothing of all rows."""
    hang_on: tuple[str, ...]
    """As a selection's."""
    shadow: int = 0
    """Of the rows that it is of, those that the unit scored in shadow."""

    @property
    def judgeable(self) -> bool:
        return not self.refused and len(self.labels) > 0

    def losses(self, reference: Reference, window: Window) -> RowLosses:
        """Weighted ones count as the harm does: as many as rows of one weight that would be as sure."""
        losses = bounded_loss(reference.task, self.scores, np.asarray(self.labels, dtype=np.float64), reference.scale)
        weights = None if self.weighting is None else self.weighting.weights
        seen = seen_of(losses, window, weights)
        spread = float(np.sqrt(np.average(np.square(losses - np.average(losses, weights=weights)), weights=weights)))
        return RowLosses(mean=seen.mean, spread=float(f"{spread:.8g}"), n=seen.n)


def window_of(summary: WindowSummary) -> Window:
    return Window(model=summary.model, unit=summary.unit, start=summary.start, end=summary.end)


def read(window: WindowSummary, join: LabelJoin, now_us: int) -> Read:
    start_us, end_us = micros(window.start), micros(window.end)
    asked = join.outcomes(window.unit, start_us, end_us)
    return Read(WindowRows(*asked[:4]), asked.ids, join.rows_of(window.unit, Span(start_us, end_us, now_us)))


def kept(window: WindowSummary, found: Read, labels: int) -> WindowSummary | None:
    """As it is told when it keeps the metrics that it was judged by, since of those rows and labels less is held; None: it is to be judged anew. `labels`: as
    `window.labels` counts them. Fewer are a segment that is damaged, gone, or cannot be read now, or an id whose earlier answer, of another window, was
    read later. Others without being fewer still are labels that were corrected, or came."""
    rows, before, digest = len(found.asked.at_us), window.judged_rows or 0, found.digest
    if labels >= window.labels and rows >= before:
        return None
    if digest == window.held_by:
        return window
    came = bool(window.held_by) and labels >= window.held_labels and rows >= window.held_rows
    if came and labels >= NEARLY_ALL * window.labels and rows >= NEARLY_ALL * before:
        return None
    judged = f"{window.labels} labels" if window.judged_rows is None else f"{window.labels} labels of {before} rows"
    words = f"judged by {judged}, of which {labels} of {rows} are held"
    if came:
        words += "; what came or changed since is not counted"
    return msgspec.structs.replace(window, held_in_part=words, held_by=digest, held_labels=labels, held_rows=rows)


def held_whole(window: WindowSummary) -> WindowSummary:
    """All is held that it is judged by."""
    return msgspec.structs.replace(window, held_in_part="", held_by="", held_labels=0, held_rows=0)


def judged(world: World, observation: Observation, window: WindowSummary, found: Read, known: Sequence[str]) -> Judged:
    """`known`: what labels of windows before hung on."""
    asked, rows, mine = found.asked, found.rows, window_of(window)
    reference = observation.files.reference(window.unit)
    features = features_of(found, observation.rows((window.unit, micros(window.start))))
    told, weighting = selective.selection(reference.task, asked, features, known, classes=reference.classes)
    if told.kind == "refused":
        metrics = refused(reference, mine, len(rows.labels), told.words, names(world))
        return Judged(metrics, *outcomes(rows, reference.task), None, told.words, refused=True, hang_on=told.hang_on)
    shadow = 0
    if told.kind == "corrected":
        # What is weighted are the rows that the weights were found for, in their order.
        weighed = of_places(asked, features.among) if told.sampled and features.among is not None else asked
        has = np.isfinite(weighed.labels)
        labelled, words = (weighed.scores[has], weighed.labels[has]), told.words
    else:
        labelled, words = outcomes(rows, reference.task), ""
        shadow = max(len(rows.labels) - int(np.isfinite(asked.labels).sum()), 0)
    measured = own_metrics(world, labelled, mine, window.metrics, weighting)
    metrics = realised(reference, *labelled, mine, weighting) | measured
    return Judged(metrics, *labelled, weighting, words, refused=False, hang_on=told.hang_on, shadow=shadow)


def features_of(found: Read, sample: SampledRows) -> Features:
    """What was captured of a window's rows and is kept of them: a sample where they are many. A column of which not every value was is left out."""
    if not sample.columns or not np.isfinite(found.asked.labels).any() or np.isfinite(found.asked.labels).all():
        return selective.NO_FEATURES
    place = dict(zip(found.ids, range(len(found.ids)), strict=True))
    chosen = np.array([at for at, name in enumerate(sample.ids) if name in place], dtype=np.int64)
    among = np.array([place[sample.ids[at]] for at in chosen], dtype=np.int64)
    return Features({name: values[chosen] for name, values in sample.columns.items()}, among)


def outcomes(rows: LabelledRows, task: str) -> tuple[Any, Any]:
    """Scores and labels as monitoring takes them: class indices are whole."""
    return rows.scores, rows.labels if task == "regression" else rows.labels.astype(np.int64)
