import errno
from pathlib import Path

import msgspec
import polars as pl
import pytest
from projects import rows, spec

from flyball.adapters.schema_file import ColumnSchema, Schema
from flyball.adapters.validation_pandera import Failure, as_trained, columns_of, enforced, schema_of, validate
from flyball.errors import DataError, StoreUnavailable
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
        "id 'f7': wind is not a finite float32 (inf)",
    )


def test_a_limit_is_told_in_full(tmp_path: Path) -> None:
    kept = schema(tmp_path, features={"hour": {"maximum": 1_234_567.5}, "wind": {"missing": True}, "carrier": None, "busy": None})
    dirty = FRAME.with_columns(hour=pl.when(pl.int_range(pl.len()) == 3).then(1_234_568).otherwise("hour"))
    assert validate(dirty, kept, time="at", key="id").failures == ("id 'f3': hour is above 1234567.5 (1234568.0)",)


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
        (
            "features: {carrier: {type: category, outside: flag}}",
            "features.carrier: outside: flag on a category. Expected: a number",
        ),
        ("features: {hour: {type: number, outside: flagged}}", "features.hour.*'flagged'.*Expected: as_trained, refuse, flag"),
        ("features: {hour: {type: number, minimum: 3, maximum: 2}}", "minimum 3 and maximum 2"),
        (
            "features: {hour: {type: number, maximum: 1e+300}}",
            "hour: maximum 1e\\+300. Expected: from -3.40282e\\+38 to 3.40282e\\+38",
        ),
        ("features: {hour: {type: number, minimum: -.inf}}", "hour: minimum -inf"),
        ("features: {carrier: {type: category, minimum: 3}}", "carrier: minimum 3 on a category. Expected: a number"),
        ("features: {hour: {type: number}, wind: {type: number}, hour: {type: integer}}", "features.hour stands there twice"),
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


def test_a_feature_that_comes_later_is_inferred_once_and_then_the_files(tmp_path: Path) -> None:
    """And not anew by each run, of which one with a single NA in it would have made a category of it."""
    schema(tmp_path)
    first = (tmp_path / "schema.yaml").read_text().replace("hour: {type: integer}", "hour: {type: integer}  # ours")
    (tmp_path / "schema.yaml").write_text(first)
    declared, told = spec(data={"features": [*FEATURES, "load"]}).data, []
    schema_of(tmp_path / "schema.yaml", FRAME, declared, told.append)
    assert told == ["schema.yaml now has 'load' (number), as the rows look: it is yours to edit"]
    text = (tmp_path / "schema.yaml").read_text()
    assert text == first + "  load: {type: number, missing: true}\n"

    texts = pl.col("load").cast(pl.String)
    dirty = FRAME.with_columns(load=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("NA")).otherwise(texts))
    again = schema_of(tmp_path / "schema.yaml", dirty, declared, told.append)
    assert again.features["load"].type is ColumnType.NUMBER
    assert validate(dirty, again.features, time="at", key="id").quarantined["id"].to_list() == ["f3"]
    assert len(told) == 1
    assert (tmp_path / "schema.yaml").read_text() == text


def test_a_schema_that_cannot_be_written_to_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", refused)
    declared, told = spec(data={"features": ["hour", "wind"]}).data, []
    with pytest.raises(StoreUnavailable, match="resource busy"):
        schema_of(tmp_path / "schema.yaml", FRAME, declared, told.append)
    (tmp_path / "schema.yaml").write_text("features: {hour: {type: integer, minimum: 3}}\n")
    found = schema_of(tmp_path / "schema.yaml", FRAME, declared, told.append)
    assert (found.features["hour"].minimum, found.features["wind"].type) == (3, "number")
    (words,) = told
    assert words.startswith("each run takes 'wind' (number) as its own rows look: ")
    assert "schema.yaml: Device or resource busy" in words
    assert [path.name for path in tmp_path.iterdir()] == ["schema.yaml"]


def test_a_schema_that_has_no_place_for_a_feature_ends_no_run(tmp_path: Path) -> None:
    text, told = "features:\n  ? hour\n  : {type: integer, minimum: 3}\n", []
    (tmp_path / "schema.yaml").write_text(text)
    found = schema_of(tmp_path / "schema.yaml", FRAME, spec(data={"features": ["hour", "wind"]}).data, told.append)
    assert (found.features["hour"].minimum, found.features["wind"].type) == (3, "number")
    words = "each run takes 'wind' (number) as its own rows look: schema.yaml lacks the features wind, and is written so that "
    assert told[0].startswith(words)
    assert (tmp_path / "schema.yaml").read_text() == text


def test_what_is_no_feature_is_told_and_stays_for_whoever_puts_it_back(tmp_path: Path) -> None:
    told: list[str] = []
    text = "features: {hour: {type: integer, minimum: 3}, wnd: {type: number, minimum: 0}}\n"
    (tmp_path / "schema.yaml").write_text(text)
    schema_of(tmp_path / "schema.yaml", FRAME, spec(data={"features": ["wind"]}).data, told.append)
    assert told[-1] == "schema.yaml: not in data.features, and so without effect: 'hour', 'wnd' (did you mean wind?)"
    both = schema_of(tmp_path / "schema.yaml", FRAME, spec(data={"features": ["hour", "wind"]}).data)
    assert both.features["hour"].minimum == 3
    assert both.features["wind"].minimum is None


def test_a_schema_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "kept.yaml").write_text("extra: ignore\nfeatures: {}\n")
    (tmp_path / "schema.yaml").symlink_to("kept.yaml")
    assert set(schema(tmp_path)) == set(FEATURES)
    assert (tmp_path / "schema.yaml").is_symlink()
    assert "hour" in (tmp_path / "kept.yaml").read_text()


def test_a_number_that_float32_cannot_hold_is_set_aside(tmp_path: Path) -> None:
    kept = schema(tmp_path, features={"wind": {"missing": True}, "hour": None})
    large = FRAME.with_columns(wind=pl.Series([1e300, -1.797e308, 3.4028234663852886e38, float("nan"), *FRAME["wind"][4:]]))
    checked = validate(large, kept, time="at", key="id")
    assert checked.quarantined["id"].to_list() == ["f0", "f1"]
    assert checked.failures[0] == "id 'f0': wind is not a finite float32 (1e+300)"
    assert checked.frame["wind"].cast(pl.Float32).is_infinite().sum() == 0


def test_a_few_texts_that_make_a_category_of_a_number_are_told_once(tmp_path: Path) -> None:
    few = (pl.col("load").round() % 20).cast(pl.String)  # as many as classes of a ticket
    dirty = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("NA")).otherwise(few)
    frame, told = FRAME.with_columns(load=dirty, hour=pl.col("hour").cast(pl.String)), []
    declared = spec(data={"features": ["load", "carrier", "hour"]}).data
    for _ in range(2):
        schema_of(tmp_path / "schema.yaml", frame, declared, told.append)
    words = "load is taken for a category, since not all its values are numbers (not 1 of 192, such as 'NA'): "
    assert told == [words + "if it is a number, say so (type: number), and those rows are set aside"]


@pytest.mark.parametrize("faulty", [3, 9])
def test_many_numbers_with_a_few_texts_among_them_are_neither_a_number_nor_a_category_until_somebody_says_so(
    tmp_path: Path, faulty: int
) -> None:
    values = [f"{at / 7:.2f}" if at % 100 >= faulty else "NA" for at in range(200)]
    frame = FRAME.with_columns(price=pl.Series(values))
    words = f"price: 19\\d different numbers, and {2 * faulty} of 200 values that are none \\('NA'\\).*`NAME: number`.*up to 5%"
    with pytest.raises(DataError, match=f"(?s){words.replace('19', '1[89]')}"):
        schema(tmp_path, frame, ["price"])
    assert not (tmp_path / "schema.yaml").exists()
    for kind in ("number", "category"):
        assert schema(tmp_path, frame, {"price": kind})["price"].type == kind
        assert schema(tmp_path, frame, ["price"])["price"].type == kind, "what stands in schema.yaml was said"
        (tmp_path / "schema.yaml").unlink()


def test_what_stands_in_texts_is_what_it_would_be_in_a_column_of_its_own_type(tmp_path: Path) -> None:
    """One NA in a file makes texts of the whole column: missing values must not become faulty by it, nor truths that pandas wrote as floats."""
    kept = schema(tmp_path, features={"wind": {"type": "number", "missing": True}, "busy": {"type": "boolean"}})
    first = pl.int_range(pl.len())
    texts = FRAME.select("id", "at").with_columns(
        wind=pl.when(first == 3).then(pl.lit("NA")).otherwise(pl.lit("NaN")),
        busy=pl.when(first < 100).then(pl.lit("1.0")).otherwise(pl.lit("0.0")),
    )
    checked = validate(texts, kept, time="at", key="id")
    assert checked.failures == ("id 'f3': wind is not of type number ('NA')",)
    assert checked.frame["wind"].null_count() == 199
    assert checked.frame["busy"].sum() == 99
