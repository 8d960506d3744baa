"""What is written in files stays what was written, whichever file it stands in."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from projects import AS_OF, spec

from flyball.adapters.sources import Asked, SourceHistory, load
from flyball.adapters.validation_pandera import schema_of
from flyball.errors import DataError
from flyball.records.signature import ColumnType

CSV = "id,at,late,hour,wind,carrier\n"
CATEGORY = {"carrier": ColumnType.CATEGORY}
NUMBERS = {"hour": ColumnType.INTEGER, "wind": ColumnType.NUMBER}


def read(directory: Path, files: dict[str, str], pattern: str = "*.csv", **given: object) -> pl.DataFrame:
    for name, text in files.items():
        (directory / name).write_text(text)
    data = spec(data={"source": {"files": pattern}, "features": given.pop("features", ["hour", "wind", "carrier"])}).data
    return load(data, directory, lambda name: name, AS_OF, Asked(given.pop("task", "binary"), given.pop("types", {})))


def of_carriers(*carriers: str, first: int = 0) -> str:
    lines = (f"k{number},2026-01-01,{number % 2},{number},1.5,{carrier}\n" for number, carrier in enumerate(carriers, first))
    return CSV + "".join(lines)


def test_a_category_of_schema_yaml_keeps_the_zeros_that_it_begins_with(tmp_path: Path) -> None:
    text = of_carriers("01234", "12345")
    assert read(tmp_path, {"a.csv": text}, types=CATEGORY)["carrier"].to_list() == ["01234", "12345"]
    assert read(tmp_path, {"a.csv": text}, types={"carrier": ColumnType.INTEGER})["carrier"].to_list() == [1234, 12345]
    numbers = {"carrier": "integer", "hour": None, "wind": None}
    assert read(tmp_path, {"a.csv": text}, types=CATEGORY, features=numbers)["carrier"].to_list() == [1234, 12345]


def test_a_replay_goes_by_schema_yaml_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(of_carriers("01234", "12345"))
    (tmp_path / "schema.yaml").write_text("features: {carrier: {type: category}}")
    history = SourceHistory(spec(data={"source": {"files": "a.csv"}}).data, tmp_path, lambda name: name)
    rows = history.rows(datetime(2026, 1, 1, tzinfo=UTC), AS_OF)
    assert rows["carrier"].to_list() == ["01234", "12345"]


def test_a_feature_of_which_nothing_is_said_is_as_written_where_one_file_holds_texts(tmp_path: Path) -> None:
    files = {"a.csv": of_carriers("01234", "1.10"), "b.csv": of_carriers("K1A", first=2)}
    assert read(tmp_path, files)["carrier"].to_list() == ["01234", "1.10", "K1A"]


@pytest.mark.parametrize(
    "written",
    [
        ["1.1", "1.10"], ["1E5", "100000"], ["1e5", "7"], ["+5", "5"], ["-0", "0"], ["1.", "1"], ["1.00", "1"], ["00001", "1.5"],
        ["9007199254740993", "1.5"], ["0.00001", "1.5"], ["0.1234567890123456789", "2"],
    ],
)  # fmt: skip
def test_a_category_that_would_be_written_otherwise_as_a_number_stays_text(tmp_path: Path, written: list[str]) -> None:
    assert read(tmp_path, {"a.csv": of_carriers(*written)}, types=CATEGORY)["carrier"].to_list() == written


@pytest.mark.parametrize("other", ["1.10", "1e-05", "01", "0.1234567890123456789"])
def test_a_value_that_is_written_otherwise_gives_no_other_value_a_new_name(tmp_path: Path, other: str) -> None:
    first, second, numbers = ["1.0", "1.1", "NaN", "-2.0"], ["1.0", "1.1", "NaN", "-2.0", other], {"carrier": "category"}

    def names(written: list[str]) -> list[str]:
        found = read(tmp_path, {"a.csv": of_carriers(*written)}, features=numbers)
        data = spec(data={"features": numbers}).data
        (tmp_path / "schema.yaml").unlink(missing_ok=True)
        return list(schema_of(tmp_path / "schema.yaml", found, data).features["carrier"].categories or ())

    assert names(first) == ["-2", "1", "1.1"]
    assert names(second) == sorted([*names(first), other])


def test_classes_are_called_as_floats_would_be_in_files_of_both_kinds(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": ["p"], "at": [AS_OF], "late": [1.0], "hour": [1], "wind": [1.0], "carrier": [2.0]})
    rows.write_parquet(tmp_path / "z.parquet")
    found = read(tmp_path, {"a.csv": CSV + "a,2026-01-01,1.0,1,2,2.0\nb,2026-01-02,1.10,1,2,K1A\n"}, "*.*")
    assert found["late"].to_list() == ["1", "1.10", "1"]
    assert found["carrier"].to_list() == ["2", "K1A", "2"]


def test_keys_and_classes_stay_as_they_are_written(tmp_path: Path) -> None:
    found = read(tmp_path, {"a.csv": CSV + "1.1,2026-01-01,1E5,1,2,x\n1.10,2026-01-02,7,1,2,y\n"})
    assert found["id"].to_list() == ["1.1", "1.10"]
    assert found["late"].to_list() == ["1E5", "7"]
    numbers = read(tmp_path, {"a.csv": CSV + "a,2026-01-01,1E5,1,2,x\nb,2026-01-02,7,1,2,y\n"}, task="regression")
    assert numbers["late"].to_list() == [100000.0, 7.0]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["1", "12345", ""], [1, 12345, None]),
        (["1.0", "2.0", ""], [1.0, 2.0, None]),
        (["1", "2.0", "-3.0"], [1.0, 2.0, -3.0]),
        (["1.1", "0.5", "-0.05", "1234.5678"], [1.1, 0.5, -0.05, 1234.5678]),
        (["1.5", "NaN", "2"], [1.5, None, 2.0]),
        (["9223372036854775807", "1"], [9223372036854775807, 1]),
        (["true", "false"], [True, False]),
    ],
)
def test_numbers_that_lose_nothing_are_read_as_they_always_were(tmp_path: Path, written: list[str], read_as: list) -> None:
    assert read(tmp_path, {"a.csv": of_carriers(*written)}, types=CATEGORY)["carrier"].to_list() == read_as


def test_whole_numbers_beside_a_file_of_fractions_lose_no_digit(tmp_path: Path) -> None:
    files = {"a.csv": of_carriers("9007199254740993"), "b.csv": of_carriers("1.5", first=1)}
    assert read(tmp_path, files, types=CATEGORY)["carrier"].to_list() == ["9007199254740993", "1.5"]


@pytest.mark.parametrize("empty", [CSV, CSV + "z,2026-01-02,,,,\n"], ids=["a header alone", "no value"])
def test_a_file_without_values_makes_no_texts_of_the_numbers_in_others(tmp_path: Path, empty: str) -> None:
    a = CSV + "a,2026-01-01,1.0,7,1.5,x\nb,2026-01-01,0.0,8,2.5,y\n"
    found = read(tmp_path, {"a.csv": a, "b.csv": empty})
    assert [found[name].dtype for name in ("late", "hour", "wind", "carrier")] == [pl.Float64, pl.Int64, pl.Float64, pl.String]
    assert found["late"].drop_nulls().to_list() == [1.0, 0.0]
    assert found["at"].dtype == pl.Datetime("us", "UTC")


def test_times_of_any_kind_stand_in_one_table(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": ["p"], "late": [1], "hour": [1], "wind": [1.0], "carrier": ["x"]})
    moment = datetime(2026, 1, 2, 12, tzinfo=UTC).replace(tzinfo=None)
    zoned = pl.Series("at", [moment]).dt.replace_time_zone("Europe/Berlin")
    rows.with_columns(zoned).write_parquet(tmp_path / "a.parquet")
    rows.with_columns(pl.Series("at", [moment], dtype=pl.Datetime("ns")), id=pl.lit("q")).write_parquet(tmp_path / "b.parquet")
    rows.with_columns(pl.Series("at", [moment.date()]), id=pl.lit("r")).write_parquet(tmp_path / "c.parquet")
    found = read(tmp_path, {"d.csv": CSV + "s,2026-01-02 13:00:00+00:00,1,1,1.0,x\n"}, "*.*")
    assert dict(zip(found["id"], found["at"].dt.hour(), strict=True)) == {"r": 0, "p": 11, "q": 12, "s": 13}


def test_a_column_that_stands_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    twice = "id,at,late,hour,wind,carrier,wind\na,2026-01-01,1,1,1.5,x,2.5\n"
    with pytest.raises(DataError, match=r"the file a\.csv has the column 'wind' 2 times"):
        read(tmp_path, {"a.csv": twice})
    kept = read(tmp_path, {"a.csv": twice.replace("carrier,wind", "carrier,wind_duplicated_0")})
    assert kept["wind"].to_list() == [1.5]


AWKWARD = ['n"q', '"whole"', '"', '""', "a,b", "line\nend", " sp ", "größe", "n'q"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_is_what_csv_wrote(tmp_path: Path, name: str, mark: str) -> None:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerows(
        [["id", "at", "late", name, "wind"], ["k0", "2026-01-01", 1, "01234", 2.5], ["k1", "2026-01-02", 0, 't"t', 2.5]]
    )
    found = read(tmp_path, {"a.csv": mark + text.getvalue()}, features=[name, "wind"])
    assert found[name].to_list() == ["01234", 't"t']


def test_a_category_whose_name_has_a_quote_is_read_once_more_as_it_is_written(tmp_path: Path) -> None:
    text = of_carriers("01234", "12345").replace("carrier", '"car""rier"')
    named = {"features": ['car"rier', "wind"], "types": {'car"rier': ColumnType.CATEGORY}}
    assert read(tmp_path, {"a.csv": text}, **named)['car"rier'].to_list() == ["01234", "12345"]


def test_such_a_column_that_stands_twice_is_refused_and_one_called_alike_is_not(tmp_path: Path) -> None:
    row = "a,2026-01-01,1,1,1.5,2.5\n"
    for header in ('"w""d","w""d"', 'w"d,"w""d"'):
        with pytest.raises(DataError, match=r"""the file a\.csv has the column 'w"d' 2 times"""):
            read(tmp_path, {"a.csv": f"id,at,late,hour,{header}\n{row}"}, features=['w"d'])
    alike = read(tmp_path, {"a.csv": f'id,at,late,hour,w""d,"w""d"\n{row}'}, features=['w""d', 'w"d'])
    assert alike.select('w""d', 'w"d').row(0) == (1.5, 2.5)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, {"a.csv": "\ufeff" + of_carriers("x")})["id"].to_list() == ["k0"]


def test_a_bracket_in_the_name_of_a_file_is_no_pattern(tmp_path: Path) -> None:
    assert read(tmp_path, {"orders[1].csv": of_carriers("x", "y")}).height == 2


def test_what_flyball_keeps_is_no_source(tmp_path: Path) -> None:
    (tmp_path / ".flyball").mkdir()
    files = {"a.csv": of_carriers("x"), ".flyball/b.csv": of_carriers("x")}
    assert read(tmp_path, files, "**/*.csv").height == 1


@pytest.mark.parametrize("kind", [pl.UInt64, pl.Decimal(20, 0), pl.String])
def test_numbers_beyond_those_of_64_bits_are_names_with_all_their_digits(tmp_path: Path, kind: pl.DataType) -> None:
    digits = ["18446744073709551614", "18446744073709551613"]
    codes = pl.Series(digits).cast(kind)
    rows = pl.DataFrame({"at": [AS_OF] * 2, "late": [0, 1], "hour": [1, 2], "wind": [1.0, 2.0]})
    rows.with_columns(id=codes, carrier=codes).write_parquet(tmp_path / "a.parquet")
    found = read(tmp_path, {}, "*.parquet", types=CATEGORY)
    assert sorted(found["id"]) == sorted(digits)
    assert sorted(found["carrier"]) == sorted(digits)
    numbers = read(tmp_path, {}, "*.parquet", types={"carrier": ColumnType.NUMBER})["carrier"].cast(pl.Float64)
    assert numbers.to_list() == [float(digits[0])] * 2


def test_a_key_of_more_digits_than_a_number_holds_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, {"a.csv": CSV + "12345678901234567890123,2026-01-01,1,1,1.5,x\n"})
    assert found["id"].to_list() == ["12345678901234567890123"]


def test_an_empty_line_before_the_names_hides_no_column_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the file a\.csv has the column 'wind' 2 times"):
        read(tmp_path, {"a.csv": "\nid,at,late,hour,wind,carrier,wind\nk0,2026-01-01,1,1,1.5,x,2.5\n"})


def test_names_that_are_no_text_stop_nobody_who_does_not_ask_for_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'"n""\xe9",' + of_carriers("x").replace("\n", "\n1,", 1).encode())
    assert read(tmp_path, {}).height == 1
