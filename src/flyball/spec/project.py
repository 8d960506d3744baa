"""The whole of flyball.yaml."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from flyball.spec.capture import CaptureSpec
from flyball.spec.cost import CostSpec
from flyball.spec.data import DataSpec
from flyball.spec.fields import Name, Section
from flyball.spec.gates import GatesSpec
from flyball.spec.monitor import MonitorSpec
from flyball.spec.policies import BINARY_ALONE, AutopilotSpec, PolicySpec
from flyball.spec.release import ReleaseSpec
from flyball.spec.replay import ReplaySpec
from flyball.spec.serve import ServeSpec
from flyball.spec.train import EvaluateSpec, TrainSpec

CLASSIFICATION = frozenset({"roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1"})
REGRESSION = frozenset({"mae", "rmse", "mape"})


def _authority(url: str) -> str:
    """Where a name and a password would stand: a path may hold an @ of its own."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]


class ProjectSpec(Section):
    project: Name
    model: Name
    task: Literal["binary", "multiclass", "regression"]
    data: DataSpec
    train: TrainSpec
    evaluate: EvaluateSpec = EvaluateSpec()
    gates: GatesSpec = GatesSpec()
    release: ReleaseSpec = ReleaseSpec()
    monitor: MonitorSpec = MonitorSpec()
    capture: CaptureSpec = CaptureSpec()
    policies: list[PolicySpec] = []
    autopilot: AutopilotSpec = AutopilotSpec()
    cost: CostSpec = CostSpec()
    serve: ServeSpec = ServeSpec()
    replay: ReplaySpec | None = None
    """None: `flyball replay` wants its times on the command line."""
    tracking_url: str | None = Field(default=None, pattern=r"^https?://")
    """An MLflow server. Name and password stand in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where Flyball is started, not here. None: embedded, on
    SQLite in .flyball/."""

    @field_validator("tracking_url")
    @classmethod
    def no_password_in_the_url(cls, url: str | None) -> str | None:
        # What is read here goes into the ledger, from which nothing can be taken out again.
        if url is not None and "@" in _authority(url):
            raise ValueError(
                "a URL without name and password: they stand in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return url

    @property
    def primary_metric(self) -> str:
        return self.evaluate.primary or ("mae" if self.task == "regression" else "log_loss")

    @property
    def metrics(self) -> tuple[str, ...]:
        defaults = {
            "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1"),
            "multiclass": ("log_loss", "brier", "accuracy"),
            "regression": ("mae", "rmse"),
        }
        named = (self.primary_metric, *(self.evaluate.metrics or defaults[self.task]))
        return tuple(dict.fromkeys(named))

    @model_validator(mode="after")
    def metrics_fit_the_task(self) -> Self:
        allowed = REGRESSION if self.task == "regression" else CLASSIFICATION
        wrong = [metric for metric in self.metrics if metric not in allowed]
        if wrong:
            raise ValueError(f"metrics that fit the task {self.task} ({', '.join(sorted(allowed))}), found {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def policy_names_are_unique(self) -> Self:
        names = [policy.name for policy in self.policies]
        if len(set(names)) != len(names):
            raise ValueError("policies with different names")
        return self

    @model_validator(mode="after")
    def actions_fit_the_project(self) -> Self:
        for policy in self.policies:
            asked = {policy.do.action, *(policy.do.entrants or ())}
            if self.task != "binary" and asked & BINARY_ALONE:
                raise ValueError(f"{' and '.join(sorted(asked & BINARY_ALONE))} for task: binary, found {self.task}")
            if self.train.tuning is None and "retune" in asked:
                raise ValueError("train.tuning where an entrant is retune")
        return self

    @model_validator(mode="after")
    def threshold_is_of_two_classes(self) -> Self:
        if self.serve.threshold is not None and self.task != "binary":
            raise ValueError(f"no serve.threshold with task {self.task}: it divides the score of task: binary")
        return self
