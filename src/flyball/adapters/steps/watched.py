"""What a version's windows will be judged by: files of monitoring's own formats in its package."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from flyball.adapters.model_input import Feeds, arrays_of
from flyball.adapters.runtimes import Model
from flyball.adapters.steps.situation import Rows, Run
from flyball.monitoring import blocks, calibration, estimates, harm, joint, norms, slices
from flyball.monitoring import reference as references
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.joint_rows import project
from flyball.monitoring.reference import HoldoutScores, Reference, prediction_columns, signature_names
from flyball.monitoring.sensitivity import sensitivities, some_rows
from flyball.records.signature import ColumnType, Signature
from flyball.stats.losses import bounded_loss

Files = Iterator[tuple[str, msgspec.Struct]]


class Made(NamedTuple):
    """A version and what it answered."""

    signature: Signature
    rows: Rows
    """All validated ones: the world as it was."""
    holdout: Rows
    scores: Any
    """(n_holdout, n_scores)"""
    scale: float
    model: Model
    """In the form that is served."""


def watched(run: Run, made: Made) -> Files:
    """File → content. Columns of which flyball.yaml says that not every value is kept are nowhere but in counts."""
    window = run.request.spec.monitor.window
    losses = bounded_loss(made.signature.task, made.scores, made.holdout.labels, made.scale)
    answers = HoldoutScores(made.scores, losses, made.holdout.event_us)
    rules = run.request.spec.capture.fields
    kept = tuple(column for column in made.signature.columns if rules.get(column.name, "keep") == "keep")
    own = {column.name for column in kept}
    world = arrays_of(made.rows.features)
    held = {name: values for name, values in arrays_of(made.holdout.features).items() if name in own}
    cut = blocks.cut(len(made.rows.labels), made.rows.event_us, window)
    kinds = {column.name: "category" if column.type is ColumnType.CATEGORY else "number" for column in kept}
    directions = joint.build(kinds, world, cut.windows)
    counted = tuple(column for column in made.signature.columns if rules.get(column.name, "keep") not in ("drop", "hash"))
    counted_of = msgspec.structs.replace(made.signature, columns=counted)
    plain = references.build(counted_of, world, made.rows.event_us, answers, window, made.scale)
    reference = with_joint(plain, directions, world, cut.windows)
    yield references.FILE, reference
    yield joint.FILE, directions
    yield norms.FILE, norms.build([stream for stream in reference.streams if stream.name in own], world, cut.windows)
    yield harm.FILE, _harm(run, made, reference, held | project(directions, held), losses)
    yield calibration.FILE, calibration.build(made.signature, answers, made.holdout.labels, window, made.scale)
    outcomes = (made.scores, made.holdout.labels)
    yield estimates.FILE, estimates.build(made.signature, held, made.holdout.event_us, outcomes, window, made.scale)
    if kept:
        seen = msgspec.structs.replace(made.signature, columns=kept)
        yield slices.FILE, slices.build(seen, held, losses, slices.window_numbers(len(losses), made.holdout.event_us, window))


def _harm(run: Run, made: Made, reference: Reference, values: Feeds, losses: Any) -> harm.HarmTable:
    """Loss by bin on the holdout, and what the served model makes of values that the holdout does not have."""
    signature = made.signature
    some = some_rows(len(losses))
    rows = made.holdout.features[some]
    labels = made.holdout.labels[some]

    def answer(columns: dict[str, Any]) -> tuple[Any, Any]:
        changed = [
            pl.Series(name, columns[name].tolist() if rows[name].dtype == pl.String else columns[name], dtype=rows[name].dtype)
            for name in rows.columns
        ]
        scores = np.asarray(made.model.score(made.model.feed(pl.DataFrame(changed))), dtype=np.float64)
        return scores, bounded_loss(signature.task, scores, labels, made.scale)

    run.say("package", "asking the model how it uses each feature", 0.9)
    missing = {column.name for column in signature.columns if column.missing}
    used = sensitivities(answer, arrays_of(rows), reference.streams, missing, run.request.spec.train.seed)
    answered = prediction_columns(signature.task, signature.classes, signature_names(signature), made.scores)
    known = values | {name: column for name, (_, column) in answered.items()}
    return harm.build(reference.streams, known, losses, used)
