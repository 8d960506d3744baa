"""Projects to be lived through: the flights example as it is, and real streams under policies that act as often as releases allow."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from bench.loop import streams
from bench.loop.streams import Stream

START = datetime(2024, 1, 1, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
ROWS_A_DAY = 200
"""A stream keeps its order and gets a steady clock: most have none, or one of years without a pause."""
LEARNED_DAYS = 30
PIPELINE = """
from lightgbm import LGBM{kind}

def train(features, label, parameters, seed):
    return LGBM{kind}(
        n_estimators=60, num_leaves=31, random_state=seed, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1
    ).fit(features.to_numpy(), label.to_numpy())
"""
RELEASE = {"shadow": {"at_least": "2d", "at_most": "6d", "min_labels": 300}, "steps": [], "watch": "3d", "margin": 0.1}
"""So wide a margin that nearly every challenger takes over, better or worse: intervals are asked about, not guards."""


def example(directory: Path) -> Path:
    """The flights of 2013 with the policies of the example."""
    shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns(".flyball", "report.*", "__pycache__"))
    return directory


def of_stream(name: str, data: Path, directory: Path) -> Path:
    """Raises Absent when the data are not there."""
    stream = streams.load(data, name, 0)
    directory.mkdir(parents=True)
    _rows(stream).write_parquet(directory / "rows.parquet")
    kind = "Regressor" if stream.task == "regression" else "Classifier"
    (directory / "pipeline.py").write_text(PIPELINE.format(kind=kind))
    (directory / "flyball.yaml").write_text(json.dumps(_spec(stream), indent=1))
    return directory


def _rows(stream: Stream) -> pl.DataFrame:
    n = len(stream.labels)
    labels = stream.labels if stream.task == "regression" else stream.labels.astype(int)
    columns = {f"x{place}": stream.features[:, place] for place in range(stream.features.shape[1])}
    at = [START + place * timedelta(days=1) / ROWS_A_DAY for place in range(n)]
    return pl.DataFrame({"id": [f"r{place}" for place in range(n)], "at": at, **columns, "y": labels})


def _spec(stream: Stream) -> dict[str, Any]:
    features = {f"x{place}": {"type": "number", "missing": True} for place in range(stream.features.shape[1])}
    return {
        "project": "effects", "model": "effects", "task": stream.task,
        "data": {"source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "y", "label_delay": "1d", "features": features},
        "train": {"entrypoint": "pipeline:train"}, "evaluate": {"holdout": "5d"}, "gates": {"latency_p99_ms": 1000}, "release": RELEASE,
        "policies": [
            {"name": "all", "when": "champion.age_days > 3.5", "do": "retrain", "cooldown": "10d"},
            {"name": "recent", "when": "champion.age_days > 3.5", "do": {"action": "retrain", "history": "20d"}, "cooldown": "10d"},
            *([{"name": "scale", "when": "champion.age_days > 3.5", "do": "recalibrate", "cooldown": "10d"}] if stream.task == "binary" else []),
        ],
        "autopilot": {"breaker": {"failures": 16, "flip_flops": 16}},
        "replay": {"train_until": (START + timedelta(days=LEARNED_DAYS)).isoformat()},
    }  # fmt: skip
