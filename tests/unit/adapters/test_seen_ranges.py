import polars as pl
import pytest

from flyball.adapters.schema_file import ColumnSchema, Outside, Schema
from flyball.adapters.seen_ranges import ranged
from flyball.records.signature import Column, ColumnType, Signature

COLUMNS = (
    Column(name="age", type=ColumnType.NUMBER, missing=True),
    Column(name="visits", type=ColumnType.INTEGER, minimum=0),
    Column(name="never", type=ColumnType.NUMBER, missing=True),
    Column(name="member", type=ColumnType.BOOLEAN),
    Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo",)),
)
ROWS = pl.DataFrame(
    {"age": [3.5, None, 71.0], "visits": [2, 9, 5], "never": [None] * 3, "member": [True] * 3, "town": ["Oslo"] * 3},
    schema_overrides={"never": pl.Float64},
)


def of(outside: Outside = Outside.AS_TRAINED, **features: Outside) -> dict[str, Column]:
    columns = {column.name: ColumnSchema(type=column.type, outside=features.get(column.name)) for column in COLUMNS}
    signature = Signature(task="regression", columns=COLUMNS)
    made = ranged(signature, Schema(features=columns, outside=outside), ROWS)
    return {column.name: column for column in made.columns}


def test_nothing_is_set_where_nobody_asks() -> None:
    assert tuple(of().values()) == COLUMNS


def test_what_is_flagged_is_outside_of_what_the_rows_had_and_a_persons_limit_ends_it_on_its_side() -> None:
    found = of(Outside.FLAG)
    assert [name for name, column in found.items() if column.seen] == ["age", "visits"]
    assert found["visits"].seen == (0, 9.0)
    assert found["age"].seen is not None
    least, most = found["age"].seen
    assert 3.5 - 2**-22 < least < 3.5  # what float32 rounds to 3.5 is not outside of it
    assert most == 71.0
    assert [(column.minimum, column.maximum) for column in found.values()] == [(c.minimum, c.maximum) for c in COLUMNS]


def test_what_is_refused_is_a_limit_and_a_feature_may_say_otherwise_than_the_file() -> None:
    found = of(Outside.REFUSE, age=Outside.FLAG)
    assert (found["visits"].minimum, found["visits"].maximum, found["visits"].seen) == (0, 9.0, None)
    assert found["age"].seen is not None
    assert found["age"].minimum is None
    assert (found["never"].minimum, found["never"].maximum, found["member"].maximum) == (None, None, None)


@pytest.mark.parametrize("outside", Outside)
def test_what_says_nothing_of_it_is_packaged_under_the_key_that_it_had(outside: Outside) -> None:
    plain, asked = Schema(features={"age": ColumnSchema(type=ColumnType.NUMBER)}), outside is not Outside.AS_TRAINED
    said = Schema(features={"age": ColumnSchema(type=ColumnType.NUMBER, outside=outside if asked else None)}, outside=outside)
    assert plain.of_requests == ["refuse", "as_trained", {}]
    assert (said.of_requests != plain.of_requests) is asked
    assert said.of_data == plain.of_data
