"""The rows that explanations are measured against."""

import json
from pathlib import Path

import numpy as np
import polars as pl
from projects import Told, package_in, project, request, rows, spec

from flyball.adapters.steps import run_steps
from flyball.adapters.steps.package import _background, _held
from flyball.records.background import FILE, MAX_ROWS


def test_the_background_of_a_panel_has_many_of_its_entities():
    """300 stores, a row each a day for 50 days: every 300th row is one store."""
    frame = pl.DataFrame({"store": np.tile(np.arange(300), 50), "day": np.arange(50).repeat(300)})
    kept = _background(_held(frame, (), frame)).columns
    assert len(kept["store"]) == MAX_ROWS
    assert len(set(kept["store"])) > 40
    assert kept["day"] == tuple(range(50))


def test_a_short_holdout_is_its_own_background():
    frame = pl.DataFrame({"x": [1.0, float("nan"), 3.0]})
    assert _background(_held(frame, (), frame)).columns == {"x": (1.0, None, 3.0)}


def test_what_capture_hides_has_one_value_that_is_nobodys_own():
    many = range(61)
    frame = pl.DataFrame(
        {
            "age": pl.Series([*[47] * 25, *range(18, 53), float("nan")], dtype=pl.Float32),
            "salary": pl.Series([30_001.0 + 1_000 * at for at in many], dtype=pl.Float32),
            "debt": pl.Series([float("nan")] * 61, dtype=pl.Float32),
            "town": ["Ely"] * 20 + [f"{at} Ash" for at in range(41)],
            "street": ["Elm"] * 3 + [f"{at} Oak" for at in range(58)],
            "name": [f"Ada {at}" for at in range(60)] + [""],
            "kept": pl.Series(many, dtype=pl.Float32),
        }
    )
    held = _held(frame, ("age", "salary", "debt", "town", "street", "name"), frame)
    kept = _background(held).columns
    assert {name: set(kept[name]) for name in ("age", "salary", "debt")} == {"age": {47.0}, "salary": {60_000.0}, "debt": {None}}
    assert {name: set(kept[name]) for name in ("town", "street", "name")} == {
        "town": {"Ely"},
        "street": {"(hidden)"},
        "name": {""},
    }
    assert len(set(kept["kept"])) > 20
    assert (held.columns, held.dtypes) == (frame.columns, frame.dtypes)


def test_a_model_whose_hidden_category_has_a_value_of_its_own_in_each_row_is_packaged(tmp_path: Path) -> None:
    frame = rows().with_columns(pl.format("{} {}", "carrier", "id").alias("carrier"))
    declared = spec(capture={"fields": {"carrier": "drop"}}, gates={"latency_p99_ms": 10_000})
    package = package_in(tmp_path / "p", run_steps(request(project(tmp_path / "p", frame=frame), declared), Told()))
    assert set(json.loads((package / FILE).read_bytes())["columns"]["carrier"]) == {"(hidden)"}


STRICT = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(features, label, parameters, seed):
    prepare = ColumnTransformer([("known", OneHotEncoder(), ["carrier"]), ("numbers", "passthrough", ["hour", "wind"])])
    return make_pipeline(prepare, LogisticRegression()).fit(features, label)
"""


def test_a_model_that_takes_no_value_that_nobody_has_is_packaged_with_the_commonest(tmp_path: Path) -> None:
    frame = rows().with_columns(carrier=pl.format("b{}", pl.int_range(pl.len()) % 40), wind=pl.lit(1.0))
    declared = spec(capture={"fields": {"carrier": "hash"}}, gates={"latency_p99_ms": 10_000})
    package = package_in(tmp_path / "p", run_steps(request(project(tmp_path / "p", STRICT, frame=frame), declared), Told()))
    (held,) = set(json.loads((package / FILE).read_bytes())["columns"]["carrier"])
    assert held in frame["carrier"].to_list()
