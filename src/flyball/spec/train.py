"""`train:` and `evaluate:` how a model is made and measured."""

from typing import Any, Literal

from pydantic import Field

from flyball.spec.fields import Duration, EntryPoint, Section, Share, Span

Metric = Literal["roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1", "mae", "rmse", "mape"]


class TuningSpec(Section):
    trials: int = Field(default=20, ge=1, le=10_000)
    """A fit each, and all within `train.time_limit`: at most one a second for three hours."""
    metric: Metric | None = None
    """None: the primary metric."""
    space: dict[str, list[Any]] = Field(min_length=1)
    """Parameter → the two ends of a range of numbers (whole numbers stay whole), or a list of choices: two or more texts, or three or more numbers."""


class TrainSpec(Section):
    entrypoint: EntryPoint
    """`function(features: polars.DataFrame, label: polars.Series, parameters: dict, seed: int)` → a fitted estimator."""
    parameters: dict[str, Any] = {}
    tuning: TuningSpec | None = None
    history: Span | None = None
    """Train on the last so much; None: on all there is."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    time_limit: Span = Field(default="2h", validate_default=True)
    """For the whole run."""


class EvaluateSpec(Section):
    holdout: Duration | Share = Field(default=0.2)
    """The newest part of the history: a duration, or a share of the rows. Never trained on before it has judged."""
    refit: bool | Literal["winners"] = "winners"
    """Once judged, the model is fitted again on all rows, and that one is served: its newest rows are then no older than the run. Costs a second fit. `winners`: of
    tournaments alone, whose judges are the newest rows."""
    metrics: list[Metric] | None = None
    """None: those that fit the task."""
    primary: Metric | None = None
    """None: log_loss for classification, mae for regression."""
