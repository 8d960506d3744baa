"""A replay of a model that no server process may open, and of features that the source holds as something else: lived to its end, with the report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import polars as pl
from late_rows import write_rows

PIPELINE = """
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

def numbers(frame):
    return frame.cast(pl.Float64).to_numpy()

def train(features, label, parameters, seed):
    return make_pipeline(FunctionTransformer(numbers), HistGradientBoostingClassifier(max_iter=10, random_state=seed)).fit(features, label)
"""
SPEC = """
project: histogram
model: histogram
task: binary
data:
  source: {files: rows.parquet}
  time: at
  key: id
  label: late
  label_delay: 1h
  features: {hour: number, wind: number}
train: {entrypoint: pipeline:train}
gates: {absolute: [{metric: roc_auc, at_least: 0.5}]}
replay: {train_until: 2026-01-09T00:00:00Z, until: 2026-01-09T06:00:00Z}
"""


def replayed(project: Path, spec: str) -> dict[str, Any]:
    """The report of the rows that lie in the project."""
    (project / "pipeline.py").write_text(PIPELINE)
    (project / "flyball.yaml").write_text(spec)
    command = [sys.executable, "-m", "flyball", "replay", "--json", "--project", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, umask=0o022)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads((project / "report.json").read_bytes())
    return report


def test_a_code_format_is_replayed_beside_its_first_version(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", 800)
    report = replayed(tmp_path, SPEC)
    for mine in ("report.json", "report.html"):
        assert (tmp_path / mine).stat().st_mode & 0o777 == (tmp_path / "flyball.yaml").stat().st_mode & 0o777
    state = tmp_path / ".flyball"
    assert not (tmp_path / "schema.yaml").exists(), "what was inferred of that past is nothing to the project"
    assert "hour: {type: number" in (state / "replay" / "schema.yaml").read_text()
    assert not [path for path in (state, *state.rglob("*")) if path.stat().st_mode & 0o077], (
        "a link is as private as what it names"
    )
    assert report["failed_requests"] == 0
    assert report["labels_joined"] > 10
    assert report["months"][0]["alone"]["roc_auc"] == report["months"][0]["governed"]["roc_auc"], (
        "the champion is the first version"
    )


def test_features_that_the_source_holds_as_something_else_are_sent_as_they_were_trained_on(tmp_path: Path) -> None:
    """A category from integers, truth values from 0 and 1, numbers from texts."""
    write_rows(tmp_path / "rows.parquet", 800)
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    odd = frame.with_columns(
        pl.col("hour").cast(pl.Int64), night=(pl.col("hour") < 6).cast(pl.Int8), wind=pl.col("wind").cast(pl.String)
    )
    odd.write_parquet(tmp_path / "rows.parquet")
    report = replayed(tmp_path, SPEC.replace("{hour: number, wind: number}", "{hour: category, night: boolean, wind: number}"))
    assert (report["failed_requests"], report["rows_refused"], report["predictions"]) == (0, 0, 24)
    assert report["months"][0]["alone"]["roc_auc"] == report["months"][0]["governed"]["roc_auc"] > 0.5
