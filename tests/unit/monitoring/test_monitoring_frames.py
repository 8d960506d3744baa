"""Frames of every kind are the same columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import counting, profile
from flyball.monitoring.frames import columns_of
from flyball.records.signature import ColumnType

POLARS = pl.DataFrame(
    {"price": [1.5, None, 3.0], "n": [1, 2, None], "member": [True, None, False], "town": ["Oslo", None, "Rome"], "at": pl.Series([1, 2, 3]).cast(pl.Datetime)}
)  # fmt: skip
PANDAS = pd.DataFrame(
    {"price": [1.5, None, 3.0], "n": pd.array([1, 2, None], dtype="Int64"), "member": pd.array([True, None, False], dtype="boolean"),
     "town": ["Oslo", None, "Rome"], "at": pd.to_datetime([1, 2, 3])}
)  # fmt: skip


@pytest.mark.parametrize(
    "frame", [POLARS, PANDAS, POLARS.with_columns(pl.col("town").cast(pl.Categorical))], ids=["polars", "pandas", "categorical"]
)
def test_every_kind_of_frame_gives_the_same_columns(frame: object) -> None:
    columns = columns_of(frame)
    assert columns.rows == 3
    assert [kind.value for kind in columns.types.values()] == ["number", "integer", "boolean", "category"]
    for name, wanted in (("price", [1.5, np.nan, 3.0]), ("n", [1, 2, np.nan]), ("member", [1, np.nan, 0])):
        np.testing.assert_array_equal(counting.numbers(columns.values[name]), np.array(wanted, dtype=np.float32))
    assert counting.times_each(columns.values["town"]) == {"Oslo": 1, "": 1, "Rome": 1}
    assert list(columns.left_out) == ["at"]


def test_nothing_is_copied() -> None:
    frame = pl.DataFrame({"x": np.arange(10.0)})
    assert np.shares_memory(columns_of(frame).values["x"].to_numpy(), frame["x"].to_numpy(allow_copy=False))


def test_what_the_reference_calls_a_category_stays_one() -> None:
    columns = columns_of(pl.DataFrame({"zip": [1010, 2020], "new": [1, 2]}), {"zip": ColumnType.CATEGORY})
    assert counting.times_each(columns.values["zip"]) == {"1010": 1, "2020": 1}
    assert columns.left_out == {"new": "not in the reference"}


@pytest.mark.parametrize(
    "values", [pd.Series([1.0, 2.0, np.nan]), pl.Series([1.0, 2.0, None]), pl.Series([1, 2, None]), pd.Series(pd.Categorical([1, 2, None]))]
)  # fmt: skip
def test_whole_numbers_are_the_same_categories_whatever_holds_them(values: object) -> None:
    """pandas makes floats of integers beside a missing one: all of them were values never seen before."""
    frame = pl.DataFrame({"grade": values}) if isinstance(values, pl.Series) else pd.DataFrame({"grade": values})
    columns = columns_of(frame, {"grade": ColumnType.CATEGORY})
    assert counting.times_each(columns.values["grade"]) == {"1": 1, "2": 1, "": 1}
    assert counting.texts(columns.values["grade"]) == ["1", "2", ""]


@pytest.mark.parametrize(
    "values", [pd.Series([1.0, np.nan]), pl.Series([1, None]), pd.Series(pd.Categorical([1.0, None])), pl.Series(["1.0", None])]
)
def test_where_the_reference_writes_decimals_numbers_are_written_so(values: object) -> None:
    frame = pl.DataFrame({"grade": values}) if isinstance(values, pl.Series) else pd.DataFrame({"grade": values})
    columns = columns_of(frame, {"grade": ColumnType.CATEGORY}, {"grade"})
    assert counting.texts(columns.values["grade"]) == ["1.0", ""]


@pytest.mark.parametrize("dtype", [pl.Datetime, pl.Duration, pl.Time])
def test_a_time_where_the_reference_has_a_category_is_told(dtype: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"day": pl.Series([1, 2], dtype=pl.Int64).cast(dtype)})
    with pytest.raises(DataError, match=r"'day' holds .*Expected: a category.*Next: make it the text"):
        columns_of(frame, {"day": ColumnType.CATEGORY})


def test_text_where_the_reference_has_numbers_is_told() -> None:
    with pytest.raises(DataError, match="'price' holds String"):
        columns_of(pl.DataFrame({"price": ["cheap"]}), {"price": ColumnType.NUMBER})


@pytest.mark.parametrize(
    "frame", [{"a": [1]}, [1, 2], None, pl.DataFrame(), pl.DataFrame({"at": pl.Series([1]).cast(pl.Datetime)})]
)
def test_what_is_no_frame_or_holds_nothing_to_look_at_is_told(frame: object) -> None:
    with pytest.raises(DataError):
        columns_of(frame)


def test_a_line_break_in_a_category_or_a_name_breaks_no_table() -> None:
    then = pl.DataFrame({"a\nb": ["x\ny", "\x1b[31mé"] * 500})
    assert len(str(profile(then)).splitlines()) == 3
    assert "x\\ny 50%" in str(profile(then))
    assert "\x1b" not in str(profile(then))
    assert "\\x1b[31mé" in str(profile(then))


def test_columns_that_are_numbered_are_refused_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"frame\.columns\.map\(str\)"):
        profile(pd.DataFrame(np.zeros((100, 2))))
