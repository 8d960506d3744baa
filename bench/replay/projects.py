"""A project with a year of rows to live through: numbers and categories, an outcome a day later, a monthly retraining."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

START = datetime(2024, 1, 1, tzinfo=UTC)
LEARNED_DAYS = 60
"""Before the replay: what the first version is trained on."""
CATEGORIES = 12
PIPELINE = """
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

def train(features, label, parameters, seed):
    texts = [name for name in features.columns if name.startswith("c")]
    numbers = [name for name in features.columns if name not in texts]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", numbers), ("categories", encoder, texts)])
    trees = LGBMClassifier(n_estimators=100, num_leaves=31, random_state=seed, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features, label.to_numpy())
"""


class Size(NamedTuple):
    rows: int
    """Sent."""
    features: int
    days: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.features} features, {self.days} days"


def make_project(directory: Path, size: Size) -> Path:
    """Rows evenly over the time, every third feature a category; one number drifts, and one means something else after two thirds of the time."""
    draw = np.random.default_rng([size.rows, size.features, size.days])
    n = round(size.rows * (size.days + LEARNED_DAYS) / size.days)
    gap = timedelta(days=size.days + LEARNED_DAYS) / n
    texts = [f"c{at}" for at in range(size.features // 3)]
    numbers = [f"x{at}" for at in range(size.features - len(texts))]
    part = np.arange(n) / n
    values = draw.normal(size=(n, len(numbers)))
    values[:, 1] += 0.8 * part
    codes = draw.integers(0, CATEGORIES, (n, len(texts)))
    turned = np.where(part > 2 / 3, -1.0, 1.0)
    strength = 1.2 * values[:, 0] * turned + 0.8 * values[:, 1] + 0.3 * (codes[:, 0] - CATEGORIES / 2) - 0.5
    frame = pl.DataFrame(
        {
            "id": [f"r{at}" for at in range(n)],
            "at": [START + at * gap for at in range(n)],
            **{name: values[:, at] for at, name in enumerate(numbers)},
            **{name: [f"k{code}" for code in codes[:, at]] for at, name in enumerate(texts)},
            "bad": (draw.uniform(size=n) < 1.0 / (1.0 + np.exp(-strength))).astype(np.int64),
        }
    )
    directory.mkdir(parents=True)
    frame.write_parquet(directory / "rows.parquet")
    (directory / "pipeline.py").write_text(PIPELINE)
    spec = {
        "project": "years", "model": "years", "task": "binary",
        "data": {
            "source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "bad", "label_delay": "1d",
            "features": dict.fromkeys(numbers, "number") | dict.fromkeys(texts, "category"),
        },
        "train": {"entrypoint": "pipeline:train", "history": "60d"},
        "evaluate": {"holdout": "7d", "primary": "roc_auc"},
        "gates": {"latency_p99_ms": 1000},
        "release": {"shadow": {"at_least": "1d", "at_most": "7d"}, "steps": [{"traffic": "10%", "at_least": "12h"}], "watch": "3d"},
        "policies": [{"name": "monthly", "when": "champion.data_age_days > 30", "do": "retrain", "cooldown": "14d"}],
        "replay": {
            "train_until": (START + timedelta(days=LEARNED_DAYS)).isoformat(), "late_labels": 0.05, "duplicate_labels": 0.02,
            "until": (START + timedelta(days=LEARNED_DAYS + size.days)).isoformat(),
        },
    }  # fmt: skip
    (directory / "flyball.yaml").write_text(json.dumps(spec, indent=1))
    return directory


def command(directory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "flyball", "replay", "--json", "--project", str(directory), *more]


def live(directory: Path, *more: str) -> dict[str, Any]:
    """The report, with `processor_seconds` of the command and of all that it waited for: on a busy machine the steadier figure."""
    with (directory / "said").open("w") as said:
        process = subprocess.Popen(command(directory, *more), stdout=subprocess.DEVNULL, stderr=said, env=dict(os.environ))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError((directory / "said").read_text()[-2000:])
    report: dict[str, Any] = json.loads((directory / "report.json").read_bytes())
    return {**report, "processor_seconds": used.ru_utime + used.ru_stime}
