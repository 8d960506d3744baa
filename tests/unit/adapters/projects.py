"""Small projects of made-up data, for the tests of the steps."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flyball.adapters.packages import LocalPackages
from flyball.control.ports import StepRequest
from flyball.records import codec
from flyball.records.jobs import Job, JobStatus, Progress, StepResult
from flyball.records.routing import ServedUnit
from flyball.records.unit import Unit
from flyball.spec import ProjectSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)

TUNED = {
    "entrypoint": "pipeline:train",
    "seed": 1,
    "tuning": {"trials": 4, "space": {"C": [0.001, 10.0], "fit_intercept": [True, False, True]}},
}

LOGISTIC = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.impute import SimpleImputer
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

def train(features, label, parameters, seed):
    numbers = [name for name in features.columns if features[name].dtype.is_float()]
    texts = [name for name in features.columns if name not in numbers]
    prepare = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
    ])
    return make_pipeline(prepare, LogisticRegression(**parameters)).fit(features, label)
"""

LIGHTGBM = """
from lightgbm import LGBM{kind}
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

def train(features, label, parameters, seed):
    texts = [name for name in features.columns if not features[name].dtype.is_float()]
    prepare = ColumnTransformer(
        [("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), texts)], remainder="passthrough")
    model = LGBM{kind}(n_estimators=20, random_state=seed, n_jobs=1, verbose=-1, **parameters)
    return Pipeline([("prepare", prepare), ("model", model)]).fit(features, label)
"""

HISTOGRAM = """
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import FunctionTransformer
from sklearn.pipeline import make_pipeline
import polars as pl

def only_numbers(frame):
    return frame.select(pl.selectors.float()).to_numpy()

def train(features, label, parameters, seed):
    return make_pipeline(FunctionTransformer(only_numbers), HistGradientBoostingClassifier(max_iter=10, random_state=seed)).fit(features, label)
"""

NATIVE = """
from sklearn.ensemble import HistGradientBoosting{kind}

def train(features, label, parameters, seed):
    return HistGradientBoosting{kind}(max_iter=10, categorical_features=["carrier"], random_state=seed).fit(features, label)
"""

AILING = (
    LOGISTIC
    + """

class Ailing:
    def __init__(self, model):
        self.model, self.classes_ = model, model.classes_

    def predict(self, frame):
        return self.model.predict(frame)

    def predict_proba(self, frame):
        if AILMENT:
            raise ValueError("hunter2")
        return self.model.predict_proba(frame)

well = train

def train(features, label, parameters, seed):
    return Ailing(well(features, label, parameters, seed))
"""
)
"""It fails where AILMENT is true."""


def rows(n: int = 600, seed: int = 3, days: int = 40) -> pl.DataFrame:
    """`late` depends on `hour`, `wind` and `carrier`; `minutes` is a number of the same kind, `speed` has three values."""
    draw = np.random.default_rng(seed)
    hour, wind = draw.integers(5, 23, n), draw.gamma(2.0, 5.0, n)
    carrier = draw.choice(["AA", "B6", "UA"], n)
    inclination = (hour - 14) / 5 + (wind - 10) / 8 + (carrier == "B6") + draw.normal(size=n)
    return pl.DataFrame(
        {
            "id": [f"f{i}" for i in range(n)],
            "at": [START + timedelta(days=days) * float(share) for share in np.sort(draw.random(n))],
            "hour": hour,
            "wind": pl.Series(np.where(draw.random(n) < 0.05, np.nan, wind)).fill_nan(None),
            "carrier": carrier,
            "late": (inclination > 0.5).astype(int),
            "minutes": np.round(inclination * 10, 3),
            "speed": np.where(inclination < 0, "slow", np.where(inclination < 1, "usual", "fast")),
        }
    )


def project(directory: Path, code: str = LOGISTIC, frame: pl.DataFrame | None = None) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (rows() if frame is None else frame).write_parquet(directory / "rows.parquet")
    (directory / "pipeline.py").write_text(code)
    return directory


def spec(**changes: Any) -> ProjectSpec:
    """`changes` replace whole sections, `data` is merged."""
    data = {
        "source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "late", "label_delay": "1d",
        "features": ["hour", "wind", "carrier"], **changes.pop("data", {}),
    }  # fmt: skip
    plain = {
        "project": "flights", "model": "flights", "task": "binary", "data": data, "train": {"entrypoint": "pipeline:train", "seed": 1}, **changes,
    }  # fmt: skip
    return ProjectSpec.model_validate(plain)


def package_in(directory: Path, results: Sequence[StepResult]) -> Path:
    """What a run in that project left."""
    return directory / ".flyball" / results[-1].values["package"]


def request(
    directory: Path, declared: ProjectSpec | None = None, *, champion: Path | None = None, **overrides: Any
) -> StepRequest:
    job = Job(
        id="j-0001",
        model="flights",
        status=JobStatus.RUNNING,
        requested_at=AS_OF,
        as_of=AS_OF,
        cause="user:test",
        overrides=overrides,
    )
    return StepRequest(job, declared or spec(), directory, directory / ".flyball", None if champion is None else served(champion))


def served(package: Path, **of_the_unit: Any) -> ServedUnit:
    """A package as the unit that answers."""
    manifest = LocalPackages().manifest(package)
    unit = Unit(
        id="", model="flights", version=1, manifest_digest=codec.digest(manifest), threshold=None, policy_digest="", **of_the_unit
    )
    named = msgspec.structs.replace(unit, id="u" + codec.digest(unit)[:12])
    return ServedUnit(unit=named, package=str(package), format=manifest.format, signature=LocalPackages().signature(package))


class Told(list[Progress]):
    """Everything that was reported."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)

    def statuses(self, status: str) -> list[str]:
        return [progress.step for progress in self if progress.status == status]
