from pathlib import Path

import msgspec
import polars as pl
import pytest
from projects import rows, spec

from flyball.adapters.validation_pandera import (
    ColumnSchema,
    Failure,
    Schema,
    as_trained,
    columns_of,
    enforced,
    schema_of,
    validate,
)
from flyball.errors import DataError
from flyball.records.signature import Column, ColumnType, Signature, Unknown

FRAME = rows(200).with_columns(busy=pl.col("hour") > 12, load=pl.col("wind") * 2)
FEATURES = {"hour": None, "wind": None, "carrier": None, "busy": None}


def schema(path: Path, frame: pl.DataFrame = FRAME, features: object = None):
    return schema_of(path / "schema.yaml", frame, spec(data={"features": features or FEATURES}).data).features


def test_the_schema_is_inferred_once_and_then_the_files(tmp_path: Path) -> None:
    first = schema(tmp_path)
    assert {name: (one.type, one.missing) for name, one in first.items()} == {
        "hour": ("integer", False),
        "wind": ("number", True),
        "carrier": ("category", False),
        "busy": ("boolean", False),
    }
    text = (tmp_path / "schema.yaml").read_text()
    assert text.startswith("# What the features")
    assert schema(tmp_path, FRAME.with_columns(wind=pl.lit("calm"))) == first
    (tmp_path / "schema.yaml").write_text(text.replace("type: integer", "type: number"))
    assert schema(tmp_path)["hour"].type == "number"


def test_flyball_yaml_comes_before_the_file(tmp_path: Path) -> None:
    schema(tmp_path)
    said = schema(tmp_path, features={"hour": {"type": "category", "missing": True}, "wind": {"minimum": 0.0, "maximum": 100.0}})
    assert (said["hour"].type, said["hour"].missing) == ("category", True)
    assert (said["wind"].minimum, said["wind"].maximum) == (0.0, 100.0)


def test_rows_that_are_asked_are_of_the_types_of_those_that_were_trained_on(tmp_path: Path) -> None:
    features = {
        "hour": {"type": "integer"},
        "wind": {"type": "number"},
        "carrier": {"type": "category"},
        "busy": {"type": "boolean"},
    }
    kept = schema(tmp_path, features=features)
    held = pl.DataFrame({"hour": ["7", None], "wind": ["1.5", "calm"], "carrier": [3, 4], "busy": [0, 1]})
    assert as_trained(held, kept).to_dicts() == [
        {"hour": 7, "wind": 1.5, "carrier": "3", "busy": False},
        {"hour": None, "wind": None, "carrier": "4", "busy": True},
    ]
    assert as_trained(held, kept)["hour"].dtype == pl.Int64
    assert as_trained(held.with_columns(hour=pl.Series([7.5, 8.0])), kept)["hour"].to_list() == [7.5, 8.0], (
        "to be refused, not cut"
    )


def test_failing_rows_are_set_aside_and_told(tmp_path: Path) -> None:
    kept = schema(tmp_path, features={"hour": {"maximum": 22.0}, "wind": {"missing": True}, "carrier": None, "busy": None})
    dirty = FRAME.with_columns(
        hour=pl.when(pl.int_range(pl.len()) == 3).then(99).otherwise("hour"),
        carrier=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("carrier"),
        wind=pl.when(pl.int_range(pl.len()) == 7).then(float("inf")).otherwise("wind"),
    )
    checked = validate(dirty, kept, time="at", key="id")
    assert checked.frame.height == 197
    assert checked.quarantined["id"].to_list() == ["f3", "f5", "f7"]
    assert checked.failures == (
        "id 'f3': hour is above 22 (99.0)",
        "id 'f5': carrier is missing",
        "id 'f7': wind is not finite (inf)",
    )


def test_values_of_another_type_are_set_aside(tmp_path: Path) -> None:
    kept = schema(tmp_path)
    texts = FRAME.with_columns(
        hour=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("noon")).otherwise(pl.col("hour").cast(pl.String))
    )
    checked = validate(texts, kept, time="at", key="id")
    assert checked.failures == ("id 'f3': hour is not of type integer ('noon')",)
    assert checked.frame["hour"].dtype == pl.Float64


def test_too_many_failing_rows_fail_the_run_and_show_ten(tmp_path: Path) -> None:
    kept = schema(tmp_path)
    with pytest.raises(DataError) as refused:
        validate(FRAME.with_columns(hour=pl.lit(None, dtype=pl.Int64)), kept, time="at", key="id")
    assert "200 of 200 rows (100.0%) do not fit schema.yaml" in refused.value.message
    assert refused.value.message.count("hour is missing") == 10
    assert "and 190 more" in refused.value.message


def test_new_categories_are_a_warning(tmp_path: Path) -> None:
    kept = schema(tmp_path)
    checked = validate(FRAME.with_columns(carrier=pl.lit("ZZ")), kept, time="at", key="id")
    assert checked.frame.height == 200
    assert checked.warnings[0].startswith(
        "carrier: 1 categories that schema.yaml does not list ('ZZ') in 200 rows, first at 2026-01-0"
    )


def test_the_signature_lists_the_categories_that_were_seen(tmp_path: Path) -> None:
    kept = schema(tmp_path)
    columns = columns_of(kept, validate(FRAME, kept, time="at", key="id").frame)
    assert columns[2].categories == ("AA", "B6", "UA")
    assert [column.type for column in columns] == [ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.CATEGORY, ColumnType.BOOLEAN]


def test_a_category_that_a_person_lists_is_known_although_no_row_has_it(tmp_path: Path) -> None:
    kept = schema(tmp_path)
    kept["carrier"] = msgspec.structs.replace(kept["carrier"], categories=("AA", "ZZ"))
    columns = columns_of(kept, validate(FRAME, kept, time="at", key="id").frame)
    assert columns[2].categories == ("AA", "B6", "UA", "ZZ")


def test_what_cannot_be_listed_cannot_be_refused(tmp_path: Path) -> None:
    many = Column(name="carrier", type=ColumnType.CATEGORY, categories=None)
    asked = Schema(features={"carrier": ColumnSchema(type=ColumnType.CATEGORY)}, unknown=Unknown.REFUSE)
    with pytest.raises(DataError, match="more than 1000 categories"):
        enforced(Signature(task="regression", columns=(many,)), asked)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("features: {hour: {typ: number}}", "features.hour.*did you mean 'type'"),
        ("features: {hour: {type: nmber}}", "features.hour"),
        ("features: {hour: {type: number, unknown: refuse}}", "features.hour: unknown: refuse on a number. Expected: a category"),
        ("features: {carrier: {type: category, unknown: reject}}", "features.carrier.*'reject'"),
        ("features: {hour: {type: number, minimum: 3, maximum: 2}}", "minimum 3 and maximum 2"),
        ("features: {}\nextras: ignore", "`extras`.*did you mean 'extra'"),
        ("features: {}\nextra: warn", "'warn'"),
        ("nothing", "cannot be read: it has no section features. Expected: features"),
        ("", "cannot be read: it has no section features"),
        ("features: {hour: {type: nmber}}", "Expected: number, integer, boolean, category"),
        ("features: [", "cannot be read"),
    ],
)
def test_a_schema_that_cannot_be_read_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "schema.yaml").write_text(text)
    with pytest.raises(DataError, match=words):
        schema(tmp_path)


def test_the_faults_of_all_sections_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("unknown: maybe\nfeatures: {hour: {typ: number}, wind: {type: nmber}}")
    with pytest.raises(DataError, match=r"(?s)has 3 faults:\n  .*'maybe'.*\n  features.hour: .*\n  features.wind: "):
        schema(tmp_path)


def test_a_feature_without_any_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the feature 'wind' is null in all 200 rows"):
        schema(tmp_path, FRAME.with_columns(wind=pl.lit(None, dtype=pl.Float64)))


def test_of_many_failing_values_only_the_first_are_kept_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, made = schema(tmp_path), []

    def counted(*values: object) -> Failure:
        made.append(values)
        return Failure(*values)

    monkeypatch.setattr("flyball.adapters.validation_pandera.Failure", counted)
    dirty = FRAME.with_columns(hour=pl.lit("noon"), carrier=pl.lit(None, dtype=pl.String))
    with pytest.raises(DataError) as refused:
        validate(dirty, kept, time="at", key="id")
    lines = refused.value.message.splitlines()
    assert lines[1:3] == ["  id 'f0': carrier is missing", "  id 'f0': hour is not of type integer ('noon')"]
    assert "and 390 more" in refused.value.message
    assert len(made) <= 40
