"""Which rows a run trains on, and what is told of the others."""

from pathlib import Path

import polars as pl
from projects import Told, project, request, rows

from flyball.adapters.steps import run_steps
from flyball.cli.tell_run import step_result


def test_rows_that_are_left_out_are_counted_told_and_counted_anew_where_the_rest_is_the_same(tmp_path: Path) -> None:
    directory, told = project(tmp_path / "p"), Told()
    whole = rows()
    late = pl.col("late")
    half = whole.with_columns(pl.when(pl.int_range(pl.len()) % 2 == 0).then(late).alias("late"))
    half.write_parquet(directory / "rows.parquet")
    first = run_steps(request(directory), told)[0]
    assert (first.values["read"], first.values["rows"], first.values["dropped"]["label_null"]) == (600, 300, 300)
    assert any("300 of 600 rows whose label should be known have none ('late' is null)" in each.words for each in told)
    assert step_result(first) == "600 rows read: 300 without a label, 300 kept"
    half.filter(pl.int_range(pl.len()) % 4 != 1).write_parquet(directory / "rows.parquet")
    again = run_steps(request(directory), Told())[0]
    assert (again.key, again.values["read"], again.values["dropped"]["label_null"]) == (first.key, 450, 150)
