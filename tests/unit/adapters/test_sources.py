import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy
from projects import AS_OF, START, rows, spec

from flyball.adapters.source_times import parse_times
from flyball.adapters.sources import LABEL_KNOWN, Asked, SourceHistory, history_of, known_at, load
from flyball.errors import DataError, FlyballError, NotInstalled, SourceFailed
from flyball.spec import DataSpec

FRAME = rows(100)


def no_secret(name: str) -> str:
    raise DataError(f"no {name}")


def read(directory: Path, **data: object) -> pl.DataFrame:
    return load(declared(**data), directory, no_secret, AS_OF)


def declared(**data: object) -> DataSpec:
    return spec(data=data).data


def write_csv(directory: Path, text: str) -> None:
    (directory / "rows.csv").write_text(text)


CSV = "id,at,late,hour,wind,carrier\n"


def test_the_same_rows_from_csv_parquet_delta_sql_and_a_loader_are_equal(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    FRAME.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(tmp_path / "rows.csv")
    FRAME.write_delta(str(tmp_path / "my tables é"))
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.text("create table f (id text, at text, hour int, wind real, carrier text, late int)"))
        texts = FRAME.select("id", pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"), "hour", "wind", "carrier", "late")
        connection.execute(sqlalchemy.text("insert into f values (:id, :at, :hour, :wind, :carrier, :late)"), texts.to_dicts())
    (tmp_path / "mine.py").write_text(
        "import polars as pl\ndef rows(until):\n    return pl.read_parquet(__file__.replace('mine.py', 'rows.parquet'))\n"
    )
    first = read(tmp_path)
    assert first.columns == ["at", "id", "late", "hour", "wind", "carrier", LABEL_KNOWN]
    assert first["at"].dtype == pl.Datetime("us", "UTC")
    for source in ({"files": "*.csv"}, {"delta": "my tables é"}, {"loader": "mine:rows"}):
        assert read(tmp_path, source=source).equals(first)
    sql = declared(source={"sql": {"url_env": "FLIGHTS_URL", "query": "select * from f"}})
    assert load(sql, tmp_path, {"FLIGHTS_URL": url}.__getitem__, AS_OF).equals(first)


def test_several_files_are_one_table(tmp_path: Path) -> None:
    FRAME.head(50).write_parquet(tmp_path / "a.parquet")
    FRAME.tail(50).with_columns(pl.col("hour").cast(pl.Int32)).write_parquet(tmp_path / "b.parquet")
    assert read(tmp_path, source={"files": "*.parquet"}).height == 100


def test_snapshots_in_a_backup_are_no_rows(tmp_path: Path) -> None:
    FRAME.head(50).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "days").mkdir()
    FRAME.tail(50).write_parquet(tmp_path / "days" / "b.parquet")
    for name in (".flyball", ".flyball.damaged", "backup"):
        (tmp_path / name / "snapshots").mkdir(parents=True)
        for told in ("flyball.db", "HEAD"):
            (tmp_path / name / told).touch()
        FRAME.write_parquet(tmp_path / name / "snapshots" / "c.parquet")
    assert read(tmp_path, source={"files": "**/*.parquet"}).height == 100


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            b"id,at,late,hour,wind,carrier\na,2026-01-01,1,1,1,x,secret\n",
            "the file days/b.csv cannot be read: line 2 has 7 fields, and the header has 6$",
        ),
        (b"id,at,late,hour,wind\na,2026-01-01,1,1,1\n", "the file days/b.csv lacks the column 'carrier'"),
    ],
)
def test_of_several_files_the_bad_one_is_named(tmp_path: Path, bad: bytes, words: str) -> None:
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "a.csv").write_text(CSV + "a,2026-01-01,1,1,1,x\n")
    (tmp_path / "days" / "b.csv").write_bytes(bad)
    with pytest.raises(FlyballError) as told:
        read(tmp_path, source={"files": "days/*.csv"})
    assert re.search(words, told.value.found)


CODES = {"carrier": "category", "hour": None, "wind": None}


def test_codes_keep_the_zeros_that_they_begin_with(tmp_path: Path) -> None:
    write_csv(tmp_path, CSV + "007,2026-01-01,01,1,2,01234\n08,2026-01-02,10,1,2,12345\n")
    found = read(tmp_path, source={"files": "rows.csv"}, features=CODES)
    assert found["id"].to_list() == ["007", "08"]
    assert found["late"].to_list() == ["01", "10"]
    assert found["carrier"].to_list() == ["01234", "12345"]
    numbers = load(declared(source={"files": "rows.csv"}, features=CODES), tmp_path, no_secret, AS_OF, Asked("regression"))
    assert numbers["late"].to_list() == [1, 10]


def test_codes_without_zeros_are_read_as_they_always_were(tmp_path: Path) -> None:
    write_csv(tmp_path, CSV + "7,2026-01-01,0,01,2,1234\n8,2026-01-02,1,02,2,12345\n")
    found = read(tmp_path, source={"files": "rows.csv"}, features=CODES)
    assert [found[name].dtype for name in ("id", "late", "hour", "carrier")] == [pl.Int64] * 4


def test_a_code_is_of_one_type_in_all_files(tmp_path: Path) -> None:
    for name, carrier in (("a", "1234"), ("b", "01234"), ("c", "K1A"), ("d", "")):
        (tmp_path / f"{name}.csv").write_text(CSV + f"{name},2026-01-01,1,1,1,{carrier}\n")
    found = read(tmp_path, source={"files": "[ab].csv"}, features=CODES)
    assert found["carrier"].to_list() == ["1234", "01234"]
    found = read(tmp_path, source={"files": "*.csv"}, features=CODES)
    assert found["carrier"].to_list() == ["1234", "01234", "K1A", None]


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-01-02",
        "2026-01-02 00:00",
        "2026-01-02T00:00:00",
        "2026-01-02T00:00:00.000",
        "2026-01-02T01:00:00+01:00",
        "2026-01-02 00:00:00+00:00",
        "2026-01-01 19:00:00.000-05",
    ],
)
def test_times_are_read_as_utc(tmp_path: Path, spelling: str) -> None:
    write_csv(tmp_path, CSV + f"a,{spelling},1,1,1.5,x\n")
    assert read(tmp_path, source={"files": "rows.csv"})["at"].to_list() == [datetime(2026, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file rows.csv is empty"),
        (CSV, "the data are empty"),
        ("id,at,late,hour,wind,carier\na,2026-01-01,1,1,1,x\n", "lack the column 'carrier' \\(did you mean 'carier'\\?\\)"),
        (CSV + "a,01/02/2026,1,1,1,x\n", "'at' has 1 values that are not a time \\(first: '01/02/2026'\\)"),
        (CSV + "a,2026-01-01,1,1,1,x\nb,soon,0,1,1,x\n", "not a time \\(first: 'soon'\\)"),
        (CSV + "a,17,1,1,1,x\n", "'at' is of type Int64"),
    ],
)
def test_data_that_cannot_be_used_are_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    write_csv(tmp_path, text)
    with pytest.raises(DataError, match=words):
        read(tmp_path, source={"files": "rows.csv"})


URLS = {
    "U": "sqlite://", "NO_DRIVER": "oracle+cx_oracle://me:hidden@host/base", "NO_DIALECT": "postgre://me:hidden@host/base",
    "NO_URL": "host hidden", "NO_PORT": "postgresql://me:a@b:hidden@host/base",
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ({"files": "nothing*.csv"}, DataError, "no file matches 'nothing\\*.csv'"),
        ({"files": "../rows.csv"}, DataError, "below the project"),
        ({"files": "link.csv"}, DataError, "leads out of the project"),
        ({"delta": "nowhere"}, DataError, "does not exist"),
        ({"delta": "../other"}, DataError, "leads out of the project"),
        ({"delta": "50%"}, DataError, "has % in its path.*rename it"),
        ({"loader": "mine:broken"}, SourceFailed, "mine:broken failed: ZeroDivisionError"),
        ({"loader": "mine:wrong"}, DataError, "answered with list"),
        ({"loader": "mine:brocken"}, FlyballError, "did you mean 'broken'"),
        ({"loader": "mien:broken"}, FlyballError, "did you mean mine:broken"),
        ({"sql": {"url_env": "U", "query": "select"}}, SourceFailed, "the database behind U failed"),
        ({"sql": {"url_env": "U", "query": "create table t (a)"}}, SourceFailed, "U answered is no table.*whose result has rows"),
        ({"sql": {"url_env": "NO_DRIVER", "query": "select 1"}}, NotInstalled, "NO_DRIVER, cx_Oracle, is not installed"),
        ({"sql": {"url_env": "NO_DIALECT", "query": "select 1"}}, SourceFailed, "NO_DIALECT holds is no URL"),
        ({"sql": {"url_env": "NO_URL", "query": "select 1"}}, SourceFailed, "NO_URL holds is no URL"),
        ({"sql": {"url_env": "NO_PORT", "query": "select 1"}}, SourceFailed, "NO_PORT holds is no URL.*: ValueError"),
        ({"sql": {"url_env": "MISSING", "query": "select 1"}}, DataError, "no MISSING"),
    ],
)
def test_a_source_that_fails_says_what_to_mend(tmp_path: Path, source: dict, kind: type, words: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.csv").write_text(CSV)
    (project / "link.csv").symlink_to(tmp_path / "outside.csv")
    (project / "50%").mkdir()
    (project / "mine.py").write_text("def broken(until):\n    1 / 0\ndef wrong(until):\n    return []\n")

    with pytest.raises(kind, match=words) as caught:
        load(declared(source=source), project, lambda name: URLS.get(name) or no_secret(name), AS_OF)
    assert "hidden" not in caught.value.message + caught.value.detail


def test_only_what_was_known_then_is_used(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    loaded = read(tmp_path)
    as_of = START + timedelta(days=20)
    known = known_at(loaded, declared(), as_of, None)
    assert known.frame["at"].max() <= as_of - timedelta(days=1)
    assert known.dropped["label_unknown"] > 0
    assert known.dropped["after_as_of"] > 0
    assert sum(known.dropped.values()) + known.frame.height == 100


def test_a_row_of_that_very_moment_is_asked_then_and_not_learnt(tmp_path: Path) -> None:
    """Where its label is known at once."""
    FRAME.write_parquet(tmp_path / "rows.parquet")
    data = declared(label_delay=None)
    loaded = load(data, tmp_path, no_secret, AS_OF)
    as_of = loaded["at"][50]
    known = known_at(loaded, data, as_of, None)
    assert known.frame["at"].max() < as_of
    assert known.dropped["after_as_of"] == loaded.filter(pl.col("at") >= as_of).height


def test_label_time_comes_before_label_delay(tmp_path: Path) -> None:
    frame = FRAME.with_columns(known=pl.col("at") + timedelta(days=30))
    frame.write_parquet(tmp_path / "rows.parquet")
    data = declared(label_time="known")
    known = known_at(load(data, tmp_path, no_secret, AS_OF), data, START + timedelta(days=40), None)
    assert known.frame["at"].max() <= START + timedelta(days=10)


def test_history_counts_back_from_the_newest_row(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    loaded = read(tmp_path)
    early = known_at(loaded, declared(), AS_OF, timedelta(days=10)).frame
    late = known_at(loaded, declared(), AS_OF + timedelta(days=300), timedelta(days=10)).frame
    assert early.equals(late)
    assert early["at"].max() - early["at"].min() <= timedelta(days=10)


def test_a_jobs_history_wins_over_the_declared_one() -> None:
    assert history_of({}, timedelta(days=3)) == timedelta(days=3)
    assert history_of({"history": "60d"}, timedelta(days=3)) == timedelta(days=60)
    assert history_of({"history": "all"}, timedelta(days=3)) is None
    with pytest.raises(DataError, match="'sixty'"):
        history_of({"history": "sixty"}, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.lit(None, dtype=pl.Int64).alias("late"), "the label 'late' is null in all 100 rows"),
        (pl.lit("same").alias("id"), "the key 'id' repeats: 1 keys stand in 100 rows"),
        (pl.lit(None, dtype=pl.String).alias("id"), "the key 'id' is null in 100 rows"),
        (
            (pl.col("at") + timedelta(days=900)).alias("at"),
            r"no row with a known label at 20.* UTC \(100 rows are later than that\)",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_in_words(tmp_path: Path, change: pl.Expr, words: str) -> None:
    FRAME.with_columns(change).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=words):
        known_at(read(tmp_path), declared(), AS_OF, None)


def test_history_is_handed_to_a_replay_in_order(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    history = SourceHistory(declared(), tmp_path, no_secret)
    part = history.rows(START + timedelta(days=5), START + timedelta(days=10))
    assert part["at"].is_sorted()
    assert START + timedelta(days=5) <= part["at"].min() < part["at"].max() < START + timedelta(days=10)
    assert LABEL_KNOWN in part.columns


def test_a_column_of_times_of_which_none_is_given_is_read_as_such() -> None:
    """Parquet and NDJSON then say nothing of its type."""
    nothing = parse_times(pl.Series("observed_at", [None, None]))
    assert (nothing.dtype, nothing.to_list()) == (pl.Datetime("us", "UTC"), [None, None])


def test_a_table_whose_label_time_is_never_known_has_no_label_yet(tmp_path: Path) -> None:
    FRAME.with_columns(known=pl.lit(None)).write_parquet(tmp_path / "rows.parquet")
    data = declared(label_time="known")
    with pytest.raises(DataError, match="100 rows have labels that are known later, or never"):
        known_at(load(data, tmp_path, no_secret, AS_OF), data, AS_OF, None)


GOOD_LINE = "a,2026-01-01,1,1,1,x\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CSV.replace(",", ";") + GOOD_LINE.replace(",", ";").replace("1;x", "1,5;x"), "the file rows.csv is separated by ';'. Expected: CSV separated by commas"),
        ((CSV + GOOD_LINE).encode("utf-16"), "the file rows.csv is UTF-16"),
        ((CSV + GOOD_LINE + "b,2026-01-01,1,1,1,gr\u00fcn\n").encode("latin-1"), "line 3 has bytes that are not UTF-8. .*iconv -f WINDOWS-1252"),
        (CSV + GOOD_LINE + 'b,2026-01-01,1,1,1,"x\n' + GOOD_LINE, "line 3 has a quote that is not closed. "),
        (CSV + (GOOD_LINE + "b,2026-01-01,1,1,1,x,y\n") * 5, "line 3 has 7 fields, and the header has 6; line 5 .*; line 7 .*; and 2 more"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_told_with_what_it_is_or_the_lines(tmp_path: Path, content: str | bytes, words: str) -> None:
    (tmp_path / "rows.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=words):
        read(tmp_path, source={"files": "rows.csv"})


def heard(directory: Path, text: str, **data: object) -> list[str]:
    write_csv(directory, text)
    said: list[str] = []
    load(declared(source={"files": "rows.csv"}, **data), directory, no_secret, AS_OF, Asked(say=said.append))
    return said


def test_a_line_that_is_cut_short_and_a_zone_that_was_taken_for_granted_are_told(tmp_path: Path) -> None:
    assert heard(tmp_path, CSV + GOOD_LINE + "b,2026-01-01,1,1") == [
        "no zone in 'at': taken as UTC",
        "the file rows.csv: 1 line is cut short (line 3 has 4 of the 6 fields of the header): what is not there is taken as missing",
    ]
    zoned = GOOD_LINE.replace("2026-01-01", "2026-01-01T12:00:00{}")
    every = "".join(zoned.format(zone).replace("a,", f"k{at},") for at, zone in enumerate(("Z", "+01:00", "+0100", ".5Z")))
    assert heard(tmp_path, CSV + every) == []
    assert heard(tmp_path, CSV + every + zoned.format("")) == ["no zone in 'at': taken as UTC"]


def test_numbers_that_are_moments_are_refused_with_the_way_out(tmp_path: Path) -> None:
    write_csv(tmp_path, CSV + GOOD_LINE.replace("2026-01-01", "1767225600000"))
    with pytest.raises(DataError, match=r"if these are milliseconds since 1970: .*pl.from_epoch\('at', 'ms'\)"):
        read(tmp_path, source={"files": "rows.csv"})
