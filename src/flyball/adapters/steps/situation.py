"""What all steps of one run share, and the rows that pass between them."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.adapters.environment import Surroundings
from flyball.adapters.sources import Secret
from flyball.adapters.steps.cache import StepCache
from flyball.control.ports import SCHEMA, StepRequest
from flyball.pipelines import split
from flyball.records.jobs import Progress
from flyball.records.signature import Signature
from flyball.stats.metrics import DECIDED, HALF

Report = Callable[[Progress], None]

TIME, KEY, LABEL = "time", "key", "label"
"""Columns of rows.parquet; the features lie in a file of their own, so that no name can collide."""


class Run(NamedTuple):
    """One run of the pipeline in this process."""

    request: StepRequest
    report: Report
    secret: Secret
    cache: StepCache
    surroundings: Surroundings
    held_out_from_us: int | None = None
    """Where a tournament's holdout begins (steps/apart.py); None: where `evaluate.holdout` says."""

    @property
    def holdout(self) -> timedelta | float:
        """The newest part as flyball.yaml has it: a duration, or a share of the rows."""
        return self.request.spec.evaluate.holdout

    @property
    def refits(self) -> bool:
        """Whether what was judged is fitted once more on all rows."""
        declared = self.request.spec.evaluate.refit
        return "tournament" in self.request.job.overrides if declared == "winners" else bool(declared)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of flyball.yaml, with the job's own on top."""
        return {**self.request.spec.train.parameters, **self.request.job.overrides.get("parameters", {})}

    @property
    def schema_file(self) -> Path:
        return self.request.schema_file or self.request.project_dir / SCHEMA

    @property
    def threshold(self) -> float:
        """Two classes: the score from which what is made here answers the positive one."""
        declared = self.request.spec.serve.threshold
        return HALF if declared is None else declared

    def decided_at(self, metrics: Iterable[str]) -> list[str]:
        """What the threshold adds to the key of a step that measures these; empty: it changes none, or is what it is where nobody says another."""
        return [f"threshold: {self.threshold!r}"] if self.threshold != HALF and not DECIDED.isdisjoint(metrics) else []

    def say(self, step: str, words: str, fraction: float | None = None) -> None:
        self.report(Progress(step=step, status="working", fraction=fraction, words=words))


class Rows(NamedTuple):
    """Validated rows as the model takes them, sorted by time."""

    features: pl.DataFrame
    """Float32 and String, in signature order."""
    labels: NDArray[np.float64]
    """(n_rows,) class indices or values."""
    event_us: NDArray[np.int64]
    """(n_rows,) microseconds UTC."""

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        return Rows(self.features.filter(pl.Series(mask)), self.labels[mask], self.event_us[mask])

    def followed_by(self, newer: "Rows") -> "Rows":
        return Rows(
            pl.concat([self.features, newer.features]),
            np.append(self.labels, newer.labels),
            np.append(self.event_us, newer.event_us),
        )

    def label_series(self, signature: Signature) -> pl.Series:
        """As handed to the user's function: class index (Int32), or value (Float64)."""
        kind = pl.Float64 if signature.task == "regression" else pl.Int32
        return pl.Series(LABEL, self.labels).cast(kind)


def write_rows(directory: Path, features: pl.DataFrame, rows: pl.DataFrame) -> None:
    features.write_parquet(directory / "features.parquet")
    rows.write_parquet(directory / "rows.parquet")


def read_rows(directory: Path) -> Rows:
    rows = pl.read_parquet(directory / "rows.parquet", glob=False)  # in a project's path may stand a `*`
    return Rows(
        pl.read_parquet(directory / "features.parquet", glob=False),
        rows[LABEL].cast(pl.Float64).to_numpy(),
        rows[TIME].to_physical().cast(pl.Int64).to_numpy(),
    )


def divided(run: Run, rows: Rows) -> tuple[Rows, Rows]:
    """(to train on, holdout). Raises DataError in words when nothing can be learnt or measured so."""
    begin_us = run.held_out_from_us
    held_out = split.newest(rows.event_us, run.holdout) if begin_us is None else np.asarray(rows.event_us >= begin_us)
    split.check(held_out, rows.labels, classification=run.request.spec.task != "regression")
    return rows.where(~held_out), rows.where(held_out)
