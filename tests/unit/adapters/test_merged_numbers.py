"""What float32 merges is told; what it only rounds is not."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from projects import LOGISTIC, Told, project, request, rows, spec

from flyball.adapters.merged_numbers import merged
from flyball.adapters.schema_file import ColumnSchema
from flyball.adapters.steps import run_steps
from flyball.records.signature import ColumnType

DRAW = np.random.default_rng(0)
FAR = 1_700_000_000


def told(values: object, kind: ColumnType = ColumnType.NUMBER) -> tuple[str, ...]:
    return merged(pl.DataFrame({"x": values}), {"x": ColumnSchema(type=kind)})


@pytest.mark.parametrize(
    ("values", "left"),
    [
        pytest.param(FAR + np.arange(2000), "its 2,000 different values are 17 to a model", id="account numbers"),
        pytest.param([None, *(FAR + np.arange(2000)).tolist()], "its 2,000 different values are 17 to a model", id="with a hole"),
        pytest.param([str(FAR + i) for i in range(2000)], "its 2,000 different values are 17 to a model", id="as texts"),
        pytest.param(20_000_000 + np.arange(2000), "its 2,000 different values are 1,001 to a model", id="every second one"),
        pytest.param(
            FAR + np.arange(3_000_000), "its 3,000,000 different values are 23,438 to a model", id="millions of neighbours"
        ),
        pytest.param(2**60 + np.arange(500), "its 500 different values are 1 to a model", id="beyond float64"),
        pytest.param(2_460_000.5 + DRAW.random(3000) * 300, "its 3,000 different values are ", id="days with a fraction"),
    ],
)
def test_different_numbers_that_are_one_to_a_model_are_told(values: object, left: str) -> None:
    (words,) = told(values)
    assert words.startswith(f"warning: x: {left}")
    assert "say type: category" in words
    assert "subtract an origin" in words


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.arange(2000), id="small whole numbers"),
        pytest.param(DRAW.integers(0, 2**24, 5000), id="as large as they may be"),
        pytest.param(FAR + 128 * np.arange(2000), id="far apart"),
        pytest.param(DRAW.random(200_000), id="measured"),
        pytest.param(300 + 10 * DRAW.normal(size=200_000), id="measured from far away"),
        pytest.param(13.4 + 0.3 * DRAW.random(200_000), id="degrees within a town"),
        pytest.param([7.0, None, float("nan")], id="one value"),
        pytest.param([None, None], id="none"),
    ],
)
def test_numbers_that_stay_apart_are_not_told(values: object) -> None:
    assert told(values) == ()


def test_names_are_no_numbers() -> None:
    assert told(FAR + np.arange(2000), ColumnType.CATEGORY) == ()


def test_the_run_tells_it_while_it_validates(tmp_path: Path) -> None:
    frame = rows().with_columns(account=FAR + pl.int_range(pl.len()))
    heard = Told()
    results = run_steps(
        request(project(tmp_path / "p", LOGISTIC, frame), spec(data={"features": ["hour", "wind", "carrier", "account"]})), heard
    )
    (warning,) = results[1].values["warnings"]
    assert warning.startswith("warning: account: its 600 different values are 6 to a model")
    assert any(each.step == "validate" and each.words == warning for each in heard)
