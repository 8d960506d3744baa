"""The example that a person is shown is one that the model's own reader takes."""

import json
from typing import Any

import pytest

from flyball.gateway.validation import RowReader
from flyball.records.example import example_row
from flyball.records.signature import Column, ColumnType, Signature, Unknown

NUMBER, INTEGER, BOOLEAN, CATEGORY = ColumnType.NUMBER, ColumnType.INTEGER, ColumnType.BOOLEAN, ColumnType.CATEGORY


def shown(column: Column, **usual: Any) -> Any:
    """What is shown of one column, once its reader has taken it."""
    signature = Signature(task="regression", columns=(column,))
    row = example_row(signature, usual)
    RowReader(signature, 1).read(json.dumps({"rows": [row]}).encode())
    return row["x"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column(name="x", type=NUMBER), 0.0),
        (Column(name="x", type=NUMBER, minimum=0.1, maximum=0.2), 0.1),
        (Column(name="x", type=NUMBER, maximum=-7.5), -7.5),
        (Column(name="x", type=INTEGER), 0),
        (Column(name="x", type=INTEGER, minimum=1.5), 2),
        (Column(name="x", type=INTEGER, maximum=-2.5), -3),
        (Column(name="x", type=INTEGER, minimum=20_260_101, maximum=20_260_131), 20_260_101),
        (Column(name="x", type=BOOLEAN), False),
        (Column(name="x", type=CATEGORY), "a"),
        (Column(name="x", type=CATEGORY, categories=("north", "south"), unknown=Unknown.REFUSE), "north"),
    ],
)
def test_of_a_column_of_which_nothing_is_known_a_value_inside_its_limits_is_shown(column: Column, value: Any) -> None:
    assert shown(column) == value


@pytest.mark.parametrize(
    ("column", "usual", "value"),
    [
        (Column(name="x", type=NUMBER), 71.25, 71.25),
        (Column(name="x", type=NUMBER, maximum=71.2), 71.25, 71.2),
        (Column(name="x", type=NUMBER), float("nan"), 0.0),
        (Column(name="x", type=INTEGER), 3.0, 3),
        (Column(name="x", type=INTEGER, minimum=1.5), 1.0, 2),
        (Column(name="x", type=BOOLEAN), 1.0, True),
        (Column(name="x", type=CATEGORY), "east", "east"),
        (Column(name="x", type=CATEGORY, categories=("north", "south")), "east", "east"),
        (Column(name="x", type=CATEGORY, categories=("north", "south"), unknown=Unknown.REFUSE), "south", "south"),
        (Column(name="x", type=CATEGORY, categories=("north", "south"), unknown=Unknown.REFUSE), "east", "north"),
    ],
)
def test_the_usual_value_is_shown_as_far_as_the_column_takes_it(column: Column, usual: Any, value: Any) -> None:
    assert shown(column, x=usual) == value


def test_a_whole_number_is_shown_in_full_and_another_one_short() -> None:
    assert shown(Column(name="x", type=INTEGER), x=20_260_101.0) == 20_260_101
    assert shown(Column(name="x", type=NUMBER), x=1_234_567.0) == 1_234_567.0
    assert shown(Column(name="x", type=NUMBER), x=0.123456789) == 0.123457
