"""The edge rows on which a served form is compared: which they are, and what they take."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from converted import TYPES, converted, frame, signature
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

from flyball.adapters.conversion import rows_to_compare
from flyball.adapters.conversion.edges import UNSEEN, far, near, rows_at
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format


def test_each_edge_row_is_a_row_of_the_holdout_with_one_value_changed() -> None:
    seen, asked = frame(), signature("regression", list(TYPES))
    base = frame(3, seed=9)
    for edges in (near(seen, asked), far(seen, asked)):
        rows = rows_at(edges, base)
        assert rows.schema == base.schema
        wanted = [
            base.with_columns(pl.lit(value, dtype=base.schema[edge.column.name]).alias(edge.column.name))
            for edge in edges
            for value in edge.values
        ]
        assert rows.equals(pl.concat(wanted))
    assert UNSEEN in rows_at(near(seen, asked), base)["kind"]


def test_edge_rows_of_many_columns_are_few_pieces_of_memory() -> None:
    """A frame of 3 rows and 600 columns for each value: 3.1 GB and 12 s, of 51 MB of values."""
    draw = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    rows = pl.DataFrame(draw, schema=[f"c{place}" for place in range(80)])
    asked = Signature(task="regression", columns=tuple(Column(name=name, type=ColumnType.NUMBER) for name in rows.columns))
    compared = rows_to_compare(LinearRegression().fit(rows, draw[:, 0]), rows, rows.head(9), asked)
    assert compared.far_rows == 80 * 6 * 3
    assert compared.frame.n_chunks() <= 4


def test_of_far_rows_only_those_that_the_model_refuses_are_left_out() -> None:
    rows = frame(300).select("a", "day")
    asked = signature("regression", ["a", "day"])
    compared = rows_to_compare(_RefusesFar(), rows, rows.head(9), asked)
    distant = compared.frame.tail(compared.far_rows)
    assert compared.far_rows == (3 + 6) * 3
    assert distant["a"].min() < -5e6
    assert distant["day"].max() > 6e6
    assert compared.refused == ()


class _RefusesFar:
    def predict(self, rows: pl.DataFrame) -> Any:
        if (rows["a"] > 1e3).any():
            raise ValueError("too far")
        return rows["a"].to_numpy()


@pytest.mark.parametrize("called", [["a", "day"], ["flyball_matrix", "flyball_matrix/single"], ["a", "flyball/flyball_matrix"]])
def test_bare_neighbours_whose_distances_need_more_digits_far_out_are_proven_in_double_precision(called: list[str]) -> None:
    draw = np.random.default_rng(0).normal(size=(1500, 2)).astype(np.float32)
    rows = pl.DataFrame(draw, schema=["a", "day"])
    renamed = pl.DataFrame(draw, schema=called)
    model = KNeighborsClassifier(5).fit(renamed, draw[:, 0] > 0)
    served = converted(model, "binary", ["a", "day"], rows=rows, called=called)
    assert any(words.startswith("ONNX of one matrix: differs") for words in served.words)
    data = served.otherwise or served  # which of the two is served is a matter of their speed
    assert data.format is Format.ONNX, served.words
    assert "ONNX of one matrix in double precision" in data.compared_speeds
    np.testing.assert_allclose(data.run(renamed), model.predict_proba(renamed)[:, 1:], atol=1e-4)
