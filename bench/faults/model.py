"""A model on real rows, and its package: reference, norms, harm and all that windows are judged by, made by the product's own functions."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.faults.tables import Columns
from flyball.adapters.packages import MANIFEST, make_manifest
from flyball.adapters.runtimes import Model
from flyball.adapters.steps.situation import Rows, Run
from flyball.adapters.steps.watched import Made, watched
from flyball.control.ports import StepRequest
from flyball.pipelines import evaluation
from flyball.pipelines.evaluation import Answers, Holdout
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Lineage, SnapshotRef

Floats = NDArray[np.float64]
HELD_OUT = 0.4
"""Of the newest rows: a dozen days, so that it is known how days differ."""


class Known(NamedTuple):
    """Rows whose labels were known when a version was made, in order of time."""

    columns: Columns
    labels: Floats
    at_us: NDArray[np.int64]
    faulty: NDArray[np.bool_]
    """As the bench knows: broken upstream."""


class Fitted:
    """Boosted trees over the columns."""

    def __init__(self, columns: Columns, labels: Floats) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        self._codes = {
            name: {value: float(place) for place, value in enumerate(np.unique(of[of != ""]).tolist())}
            for name, of in columns.items() if of.dtype == object
        }  # fmt: skip
        with threadpool_limits(1):
            self._trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=0)
            self._trees.fit(self._encoded(columns), labels)

    def __call__(self, columns: Columns) -> Floats:
        """(n_rows,)"""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return np.asarray(self._trees.predict_proba(self._encoded(columns))[:, 1], dtype=np.float64)

    def _encoded(self, columns: Columns) -> Floats:
        return np.column_stack([
            np.asarray([self._codes[name].get(value, np.nan) for value in of]) if name in self._codes else of.astype(np.float64)
            for name, of in columns.items()
        ])  # fmt: skip


def signature_of(columns: Columns) -> Signature:
    kinds = {name: ColumnType.CATEGORY if of.dtype == object else ColumnType.NUMBER for name, of in columns.items()}
    return Signature(
        task="binary",
        columns=tuple(Column(name=name, type=kind, missing=True) for name, kind in kinds.items()),
        classes=("0", "1"),
    )


def frame_of(columns: Columns) -> pl.DataFrame:
    """Float32 and String, as the pipeline hands rows over."""
    return pl.DataFrame({
        name: pl.Series(of.tolist(), dtype=pl.String) if of.dtype == object else pl.Series(of, dtype=pl.Float32) for name, of in columns.items()
    })  # fmt: skip


def arrays_of(frame: pl.DataFrame) -> Columns:
    return {
        name: np.asarray(frame[name].fill_null("").to_list(), dtype=object) if frame[name].dtype == pl.String else frame[name].cast(pl.Float64).to_numpy()
        for name in frame.columns
    }  # fmt: skip


def make(place: Path, request: StepRequest, known: Known, champion: Fitted | None) -> Fitted:
    """Leaves the package in `place`, as the steps of a run do."""
    n = known.labels.size
    cut = round(n * (1.0 - HELD_OUT))
    fitted = Fitted({name: of[:cut] for name, of in known.columns.items()}, known.labels[:cut])
    held = {name: of[cut:] for name, of in known.columns.items()}
    scores, labels, at_us = fitted(held)[:, None], known.labels[cut:], known.at_us[cut:]
    signature = signature_of(known.columns)
    rows = Rows(frame_of(known.columns), known.labels, known.at_us)
    model = Model(arrays_of, lambda columns: fitted(columns)[:, None])
    made = Made(signature, rows, Rows(frame_of(held), labels, at_us), scores, 1.0, model)
    run = Run(request, lambda _progress: None, lambda _name: "", cast("Any", None), cast("Any", None))
    (place / "model").mkdir(parents=True)
    (place / "model" / "model.lgb").write_text(codec.digest([request.job.id, n, float(scores.sum())]))
    files = {
        **dict(watched(run, made)), "signature.json": signature, "lineage.json": _lineage(request, known),
        "evaluation.json": _evaluated(request, Holdout("binary", labels, at_us), scores, None if champion is None else champion(held)[:, None]),
    }  # fmt: skip
    for name, content in files.items():
        (place / name).write_bytes(codec.encode(content))
    (place / MANIFEST).write_bytes(codec.encode(make_manifest(place, "lightgbm")))
    return fitted


def _evaluated(request: StepRequest, holdout: Holdout, scores: Floats, champion: Floats | None) -> list[Evidence]:
    metrics = request.spec.metrics
    found = [*evaluation.measure_all(metrics, holdout, Answers(scores), 0.05, 0)]
    if champion is not None:
        found += evaluation.compare_all(metrics, holdout, Answers(scores), Answers(champion), 0.05, 0)
    return [*found, Evidence(name="parity_max_difference", value=0.0, n=1), Evidence(name="latency_p99_ms", value=1.0, n=300)]


def _lineage(request: StepRequest, known: Known) -> Lineage:
    snapshot = SnapshotRef(
        table="stream", version=0, content_digest="c" * 64, schema_digest="d" * 64, rows=known.labels.size, since=None, until=request.job.as_of
    )  # fmt: skip
    return Lineage(
        run_key=codec.digest([request.job.id, known.labels.size]), mlflow_run="", git_commit=None, git_dirty=False, code_digest="a" * 64,
        environment_digest="b" * 64, snapshot=snapshot, parameters={}, seed=0,
    )  # fmt: skip
