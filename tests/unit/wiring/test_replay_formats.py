"""A replay of a model that no server process may open: lived to its end, with the report."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from late_rows import write_rows

PIPELINE = """
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

def numbers(frame):
    return frame.to_numpy()

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


def test_a_code_format_is_replayed_beside_its_first_version(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", 800)
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "flyball.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "flyball", "replay", "--json", "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, umask=0o022)
    assert done.returncode == 0, done.stderr
    for mine in ("report.json", "report.html", "schema.yaml"):
        assert (tmp_path / mine).stat().st_mode & 0o777 == (tmp_path / "flyball.yaml").stat().st_mode & 0o777
    state = tmp_path / ".flyball"
    assert not [path for path in (state, *state.rglob("*")) if path.stat().st_mode & 0o077], (
        "a link is as private as what it names"
    )
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["failed_requests"] == 0
    assert report["labels_joined"] > 10
    assert report["months"][0]["alone"]["roc_auc"] == report["months"][0]["governed"]["roc_auc"], (
        "the champion is the first version"
    )
