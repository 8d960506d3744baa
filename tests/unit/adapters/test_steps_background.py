"""The rows that explanations are measured against."""

import numpy as np
import polars as pl

from flyball.adapters.steps.package import _background, _held
from flyball.records.background import MAX_ROWS


def test_the_background_of_a_panel_has_many_of_its_entities():
    """300 stores, a row each a day for 50 days: every 300th row is one store."""
    kept = _background(_held(pl.DataFrame({"store": np.tile(np.arange(300), 50), "day": np.arange(50).repeat(300)}), ())).columns
    assert len(kept["store"]) == MAX_ROWS
    assert len(set(kept["store"])) > 40
    assert kept["day"] == tuple(range(50))


def test_a_short_holdout_is_its_own_background():
    assert _background(_held(pl.DataFrame({"x": [1.0, float("nan"), 3.0]}), ())).columns == {"x": (1.0, None, 3.0)}


def test_what_capture_hides_has_one_value_that_is_nobodys_own():
    frame = pl.DataFrame(
        {
            "age": pl.Series([*range(18, 78), float("nan")], dtype=pl.Float32),
            "street": ["Elm"] * 3 + [f"{at} Oak" for at in range(58)],
            "kept": pl.Series(range(61), dtype=pl.Float32),
        }
    )
    held = _held(frame, ("age", "street"))
    kept = _background(held).columns
    assert set(kept["age"]) == {47.0}
    assert set(kept["street"]) == {"Elm"}
    assert len(set(kept["kept"])) > 20
    assert (held.columns, held.dtypes) == (frame.columns, frame.dtypes)
