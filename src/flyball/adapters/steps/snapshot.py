"""snapshot, validate: from the source to rows that a model can take."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flyball.adapters import model_input, sources, validation_pandera
from flyball.adapters.schema_file import Columns, types_in
from flyball.adapters.snapshots_delta import DeltaSnapshots, content_digest, schema_digest
from flyball.adapters.steps.situation import KEY, LABEL, TIME, Run, write_rows
from flyball.errors import DataError
from flyball.pipelines.graph import step_key
from flyball.pipelines.labels import class_name, order_classes
from flyball.records import codec
from flyball.records.jobs import StepResult
from flyball.records.signature import Signature

UNLABELLED_TOLD = 0.05
"""As many as may be set aside for other faults (validation_pandera.MAX_FAILING_SHARE)."""


def take_snapshot(run: Run) -> tuple[StepResult, pl.DataFrame]:
    """Look at the source as of the job's moment; what is seen names the step, so unchanged data are the same step."""
    request = run.request
    data = request.spec.data
    run.say("snapshot", "reading the source")
    history = sources.history_of(request.job.overrides, request.spec.train.history)
    asked = sources.Asked(request.spec.task, types_in(run.schema_file), partial(run.say, "snapshot"))
    seen = sources.load(data, request.project_dir, run.secret, request.job.as_of, asked)
    known = sources.known_at(seen, data, request.job.as_of, history)
    frame = _since(known.frame.drop(sources.LABEL_KNOWN), data.time, request.job.overrides.get("since"))
    dropped = {**known.dropped, "before_since": known.frame.height - frame.height}
    counts = {"read": seen.height, "rows": frame.height, "dropped": dropped}
    if words := _unlabelled(known, data.label):
        run.say("snapshot", words)
    order = (data.time, data.key)
    frame = frame.sort(order)
    key = step_key("snapshot", {}, [request.spec.model, content_digest(frame), schema_digest(frame), order])

    def work(_: Path) -> dict[str, Any]:
        ref = DeltaSnapshots(request.state_dir / "snapshots").write(request.spec.model, frame, time=data.time, order=order)
        return {"snapshot": codec.plain(ref), **counts}

    done = run.cache.do("snapshot", key, work)
    # The same rows may be what is left of other ones.
    return msgspec.structs.replace(done, values={**done.values, **counts}), frame


def _unlabelled(known: sources.Known, label: str) -> str:
    """Words, where labels are missing of many rows that should have one by now; empty: of few."""
    missing = known.dropped["label_null"]
    due = known.frame.height + missing + known.dropped.get("before_history", 0)
    if missing < UNLABELLED_TOLD * due:
        return ""
    return (
        f"{missing:,} of {due:,} rows whose label should be known have none ({label!r} is null) and are not trained on: "
        "if those with a label are of another kind, the model learns that kind"
    )


def _since(frame: pl.DataFrame, time: str, since: str | None) -> pl.DataFrame:
    """Rows from a moment on, as a job may ask. Raises DataError when there are none."""
    if since is None:
        return frame
    found = frame.filter(pl.col(time) >= datetime.fromisoformat(since))
    if found.is_empty():
        newest = frame.select(pl.col(time).max()).item()
        raise DataError(
            f"no row since {since} (the newest is of {newest:%Y-%m-%d %H:%M})", next_step="does the source have what came lately?"
        )
    return found


def validate(run: Run, keys: dict[str, str], frame: pl.DataFrame, schema: Columns) -> StepResult:
    """Hold the rows against what schema.yaml says of them. It was read before the key is made: editing it is another step."""
    spec = run.request.spec
    data = spec.data
    content = [
        codec.plain(schema),
        spec.task,
        data.label,
        data.positive,
        data.time,
        data.key,
        data.feature_names,
        validation_pandera.MAX_FAILING_SHARE,
    ]
    key = step_key("validate", keys, content)

    def work(directory: Path) -> dict[str, Any]:
        checked = validation_pandera.validate(frame, schema, time=data.time, key=data.key)
        for words in (*checked.warnings, *checked.failures):
            run.say("validate", words)
        checked.quarantined.write_parquet(directory / "quarantine.parquet")
        good = checked.frame
        columns = validation_pandera.columns_of(schema, good)
        classes = order_classes(good[data.label].unique().to_list(), spec.task, data.positive, data.label)
        signature = Signature(task=spec.task, columns=columns, classes=classes)
        rows = pl.DataFrame(
            {TIME: good[data.time], KEY: good[data.key].cast(pl.String), LABEL: _labels(good[data.label], classes)}
        )
        write_rows(directory, model_input.frame_of(good, columns), rows)
        return {
            "rows": good.height, "quarantined": checked.quarantined.height, "failures": list(checked.failures),
            "warnings": list(checked.warnings), "signature": codec.plain(signature),
        }  # fmt: skip

    return run.cache.do("validate", key, work)


def _labels(column: pl.Series, classes: tuple[str, ...]) -> pl.Series:
    """Class indices (Int32), or values (Float64)."""
    if classes:
        index = {name: number for number, name in enumerate(classes)}
        return pl.Series(column.name, [index[class_name(value)] for value in column.to_list()], dtype=pl.Int32)
    values = column.cast(pl.Float64, strict=False)
    wrong = column.filter(values.is_null() | ~values.is_finite())
    if not wrong.is_empty():
        raise DataError(f"the label {column.name!r} has {wrong.len()} values that are not numbers (first: {wrong[0]!r})", expected="numbers, for task: regression",
                        next_step="set task: binary or task: multiclass, or mend the label")  # fmt: skip
    return values
