"""What a version's windows will be judged by: files of monitoring's own formats in its package."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from flyball.adapters.model_input import Feeds, arrays_of
from flyball.adapters.runtimes import Model
from flyball.adapters.steps.situation import Rows, Run
from flyball.adapters.steps.train import told
from flyball.adapters.user_code import kind_and_place
from flyball.monitoring import blocks, calibration, estimates, harm, joint, norms, slices
from flyball.monitoring import reference as references
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.joint_rows import project
from flyball.monitoring.reference import HoldoutScores, Reference, prediction_columns, signature_names
from flyball.monitoring.sensitivity import Sensitivity, sensitivities, some_rows
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
    cut, large = (blocks.cut(len(made.rows.labels), made.rows.event_us, window, thin=thin) for thin in (True, False))
    kinds = {column.name: "category" if column.type is ColumnType.CATEGORY else "number" for column in kept}
    directions = joint.build(kinds, world, cut.windows)
    counted = tuple(column for column in made.signature.columns if rules.get(column.name, "keep") not in ("drop", "hash"))
    counted_of = msgspec.structs.replace(made.signature, columns=counted)
    plain = references.build(counted_of, world, made.rows.event_us, answers, window, made.scale)
    reference = with_joint(plain, directions, world, cut.windows, thin=cut.thin)
    yield references.FILE, reference
    yield joint.FILE, directions
    # A window of few rows says nothing of values that stick.
    yield norms.FILE, norms.build([stream for stream in reference.streams if stream.name in own], world, large.windows)
    yield harm.FILE, _harm(run, made, reference, held | project(directions, held), losses)
    yield calibration.FILE, calibration.build(made.signature, answers, made.holdout.labels, window, made.scale)
    outcomes = (made.scores, made.holdout.labels)
    yield estimates.FILE, estimates.build(made.signature, held, made.holdout.event_us, outcomes, window, made.scale)
    if kept:
        seen = msgspec.structs.replace(made.signature, columns=kept)
        yield slices.FILE, slices.build(seen, held, losses, slices.window_numbers(len(losses), made.holdout.event_us, window))


def _harm(run: Run, made: Made, reference: Reference, values: Feeds, losses: Any) -> harm.HarmTable:
    """Loss by bin on the holdout, and what the served model makes of values that the holdout does not have."""
    signature, project_dir = made.signature, run.request.project_dir
    some = some_rows(len(losses))
    asked = Rows(made.holdout.features[some], made.holdout.labels[some], made.holdout.event_us[some])
    columns = arrays_of(asked.features)
    refusals: dict[str, None] = {}

    def answer(changed: dict[str, Any]) -> tuple[Any, Any] | None:
        try:
            return _answers(made, asked, changed)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's model: a value that it refuses is a fact of it, to be told
            refusals[kind_and_place(error, project_dir)] = None
            return None

    run.say("package", "asking the model how it uses each feature", 0.9)
    missing = {column.name for column in signature.columns if column.missing}
    # Rows that it was judged on are no probe: who refuses them is at fault, and told with the line.
    with told(f"the served model of {run.request.spec.train.entrypoint}", project_dir):
        _answers(made, asked, columns)
    used = sensitivities(answer, columns, reference.streams, missing, run.request.spec.train.seed)
    if refusals:
        run.say("package", _refused(reference, columns, used, tuple(refusals)))
    answered = prediction_columns(signature.task, signature.classes, signature_names(signature), made.scores)
    known = values | {name: column for name, (_, column) in answered.items()}
    return harm.build(reference.streams, known, losses, used)


def _answers(made: Made, rows: Rows, columns: Feeds) -> tuple[Any, Any]:
    """Scores and bounded losses of the holdout's rows with these values."""
    types = rows.features.schema
    changed = [
        pl.Series(name, columns[name].tolist() if kind == pl.String else columns[name], dtype=kind)
        for name, kind in types.items()
    ]
    scores = np.asarray(made.model.score(made.model.feed(pl.DataFrame(changed))), dtype=np.float64)
    return scores, bounded_loss(made.signature.task, scores, rows.labels, made.scale)


_PROBED = {
    "unseen": "unseen categories", "missing": "missing values", "below": "values below the range", "above": "values above the range",
}  # fmt: skip


def _refused(reference: Reference, columns: Feeds, used: dict[str, Sensitivity], why: tuple[str, ...]) -> str:
    """What a request with such a value would meet, in words."""
    found = []
    for name in (stream.name for stream in reference.streams if stream.role == "feature" and stream.name in columns):
        found += [f"{_PROBED[what]} of {name}" for what in used[name].refused] if name in used else [f"{name} in another order"]
    return f"the served model refuses {', '.join(found)} ({'; '.join(why)}): what they would do to it is taken for the worst"
