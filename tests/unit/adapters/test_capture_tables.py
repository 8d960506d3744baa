"""Segments become tables that DuckDB and Polars read: every record once, whatever was killed in between."""

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from flyball.adapters.capture_tables import Served, Wanted, export, exporting, stores
from flyball.adapters.capture_tables.names import Names
from flyball.capture.framing import MAGIC, frame
from flyball.capture.join import join
from flyball.capture.keeping import Keeper
from flyball.control.reports import ExportReport
from flyball.errors import Conflict, StoreUnavailable, UserError
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch, RefusalBatch, Refused
from flyball.records.keeping import Keeping
from flyball.records.signature import Column, ColumnType, Signature

FORMATS = ["delta", "parquet"]
T0 = 1_795_000_000_000_000
COLUMNS = (
    Column(name="price", type=ColumnType.NUMBER), Column(name="visits", type=ColumnType.INTEGER),
    Column(name="member", type=ColumnType.BOOLEAN), Column(name="town", type=ColumnType.CATEGORY),
)  # fmt: skip
BINARY = Signature(task="binary", columns=COLUMNS, classes=("no", "yes"))
UNITS = {"u1": Served(BINARY, 0.4)}


def prediction(first: int, n: int = 1, *, unit: str = "u1", role: str = "champion", **columns: list[Any]) -> PredictionBatch:
    given = columns or {"price": [1.5] * n, "visits": [3.0] * n, "member": [1.0] * n, "town": ["Oslo"] * n}
    ids = [f"p{number}" for number in range(first, first + n)]
    return PredictionBatch(
        at_us=T0 + first, model="shop", unit=unit, role=role, revision=7, ids=ids, keys=[f"k{each}" for each in ids],
        columns={} if role == "shadow" else given, scores=[[0.25 + 0.5 * (number % 2)] for number in range(first, first + n)],
        latency_us=120,
    )  # fmt: skip


def label(number: int, value: Any = "yes") -> LabelBatch:
    return LabelBatch(
        at_us=T0 + number, model="shop", ids=[f"p{number}"], values=[value], observed_us=[None if number % 2 else T0]
    )


FAILURE = FailureBatch(at_us=T0, model="shop", unit="u1", role="canary", n=4, reason="crash", answered_by=None)
REFUSAL = RefusalBatch(
    at_us=T0, model="shop", revision=7,
    refused=[Refused("RequestError", 422, 3, 40, "price", "type", "text", "a number"), Refused("RequestError", 422, 1, 1, "", "form")],
)  # fmt: skip
REFUSAL_OF_ROOM = RefusalBatch(at_us=T0, model="shop", revision=8, refused=[Refused("Overloaded", 429, 9, 9)])


def captured(directory: Path, records: list[Captured], *, worker: str = "0", segment_bytes: int = 1 << 20) -> CaptureWriter:
    writer = CaptureWriter(directory / "capture", worker, lambda: T0, segment_bytes)
    assert all(writer.hand_over([record]) for record in records)
    return writer


def exported(directory: Path, kind: str = "delta", units: dict[str, Served] = UNITS, **wanted: Any) -> ExportReport:
    return export(directory, directory / "out", Wanted(format=kind, **wanted), units, lambda _style, _words: None)  # type: ignore[arg-type]


def read(directory: Path, table: str, kind: str) -> pl.DataFrame:
    path = directory / "out" / table
    return pl.read_delta(str(path)) if kind == "delta" else pl.read_parquet(path / "*.parquet")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_record_is_a_typed_row(tmp_path: Path, kind: str) -> None:
    captured(tmp_path, [
        prediction(0, 2, price=[0.1, None], visits=[3.0, None], member=[1.0, 0.0], town=["Oslo", ""]), prediction(0, 2, role="shadow"),
        label(0), label(1, "no"), FAILURE, REFUSAL, REFUSAL_OF_ROOM,
    ])  # fmt: skip
    report = exported(tmp_path, kind)
    assert report.rows == {"predictions": 4, "labels": 2, "failures": 1, "refusals": 3}
    rows = read(tmp_path, "predictions", kind).sort("role", "id")
    assert rows.schema == pl.Schema({
        "id": pl.String, "predicted_at": pl.Datetime("us", "UTC"), "model": pl.String, "unit": pl.String, "role": pl.String, "revision": pl.Int64,
        "key": pl.String, "latency_us": pl.Int64, "score": pl.Float64, "scores": pl.List(pl.Float64), "label": pl.String,
        "price": pl.Float32, "visits": pl.Int64, "member": pl.Boolean, "town": pl.String,
    })  # fmt: skip
    assert rows.select("id", "role", "score", "label", "price", "visits", "member", "town").rows() == [
        ("p0", "champion", 0.25, "no", pytest.approx(0.1), 3, True, "Oslo"), ("p1", "champion", 0.75, "yes", None, None, False, None),
        ("p0", "shadow", 0.25, "no", None, None, None, None), ("p1", "shadow", 0.75, "yes", None, None, None, None),
    ]  # fmt: skip
    at = datetime.fromtimestamp(T0 / 1e6, UTC)
    assert rows["predicted_at"].unique().to_list() == [at]
    labels = read(tmp_path, "labels", kind).sort("id")
    assert labels.select("id", "label", "value").rows() == [("p0", "yes", None), ("p1", "no", None)]
    assert labels["observed_at"].to_list() == [at, None]
    assert read(tmp_path, "failures", kind).rows() == [(at, "shop", "u1", "canary", 4, "crash", None)]
    assert sorted(read(tmp_path, "refusals", kind).rows(), key=lambda row: -row[6]) == [
        (at, "shop", 7, "RequestError", 422, 3, 40, "price", "type", "text", "a number"),
        (at, "shop", 8, "Overloaded", 429, 9, 9, None, None, None, None),
        (at, "shop", 7, "RequestError", 422, 1, 1, None, "form", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_duckdb_and_polars_count_the_same(tmp_path: Path, kind: str) -> None:
    captured(tmp_path, [prediction(10 * n, 10) for n in range(300)] + [label(n) for n in range(0, 3000, 3)], segment_bytes=30_000)
    assert len(list((tmp_path / "capture").glob("*.seg"))) > 3
    exported(tmp_path, kind)
    path = tmp_path / "out"
    # DuckDB's own reader of Delta is an extension that it downloads; the files of the newest version are Parquet, whoever reads them.
    files = {
        table: DeltaTable(str(path / table)).file_uris() if kind == "delta" else [str(path / table / "*.parquet")]
        for table in ("predictions", "labels")
    }
    counted = duckdb.execute(
        "select count(*), count(distinct p.id), avg(score), count(l.id), min(predicted_at) from read_parquet($predictions) p "
        "left join read_parquet($labels) l using (id) where town = 'Oslo' and member",
        files,
    ).fetchone()
    joined = read(tmp_path, "predictions", kind).join(read(tmp_path, "labels", kind).select("id", seen=True), on="id", how="left")
    assert counted is not None
    assert counted[:4] == (joined.height, joined["id"].n_unique(), joined["score"].mean(), joined["seen"].count())
    assert counted[:2] + counted[3:4] == (3000, 3000, 1000)


def test_spark_needs_no_newer_reader_than_the_first(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0)])
    exported(tmp_path)
    protocol = DeltaTable(str(tmp_path / "out" / "predictions")).protocol()
    assert (protocol.min_reader_version, protocol.reader_features) == (1, None)


@pytest.mark.parametrize("kind", FORMATS)
def test_run_again_it_adds_what_came_since_and_nothing_twice(tmp_path: Path, kind: str) -> None:
    writer = captured(tmp_path, [prediction(0, 5)])
    assert exported(tmp_path, kind).rows["predictions"] == 5
    assert exported(tmp_path, kind).rows == {"predictions": 0, "labels": 0, "failures": 0, "refusals": 0}
    writer.hand_over([prediction(5, 2), label(1)])
    captured(tmp_path, [prediction(7, 3)], worker="1")
    assert exported(tmp_path, kind).rows == {"predictions": 5, "labels": 1, "failures": 0, "refusals": 0}
    assert sorted(read(tmp_path, "predictions", kind)["id"]) == [f"p{n}" for n in range(10)]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_torn_record_of_an_open_segment_comes_with_the_next_export(tmp_path: Path, kind: str) -> None:
    (tmp_path / "capture").mkdir()
    path = tmp_path / "capture" / "0-1-000001.seg"
    frames = [frame(msgspec.msgpack.encode(prediction(n))) for n in range(3)]
    path.write_bytes(MAGIC + frames[0] + frames[1][:-3])
    assert exported(tmp_path, kind).rows["predictions"] == 1
    (tmp_path / "capture" / "0-1-000002.seg").write_bytes(MAGIC)
    assert exported(tmp_path, kind).torn == 1
    path.write_bytes(MAGIC + b"".join(frames))
    report = exported(tmp_path, kind)
    assert (report.rows["predictions"], report.torn) == (2, 0)
    assert sorted(read(tmp_path, "predictions", kind)["id"]) == ["p0", "p1", "p2"]


class Killed(BaseException):
    """The process ended here: nothing of ours may handle it."""


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("after", [False, True], ids=["before its commit", "after its commit"])
def test_killed_at_any_commit_and_run_again_every_record_is_there_once(
    tmp_path: Path, kind: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "COMMIT_BYTES", 1)
    monkeypatch.setattr(exporting, "PORTION_BYTES", 400)
    real = stores.FORMATS[kind]

    def killed_at(which: int) -> type:
        count = itertools.count()

        class Mortal(real):  # type: ignore[misc, valid-type]
            def append(self, rows: pl.DataFrame, cursor: stores.Cursor) -> None:
                fatal = next(count) == which
                if fatal and not after:
                    raise Killed
                super().append(rows, cursor)
                if fatal:
                    raise Killed

        return Mortal

    for which in range(8):
        directory = tmp_path / str(which)
        writer = captured(directory, [prediction(4 * n, 4) for n in range(6)] + [label(n) for n in range(9)] + [FAILURE])
        monkeypatch.setitem(stores.FORMATS, kind, killed_at(which))
        with pytest.raises(Killed):
            exported(directory, kind)
        monkeypatch.setitem(stores.FORMATS, kind, real)
        writer.hand_over([prediction(24, 4)])  # gateways go on
        exported(directory, kind)
        assert sorted(read(directory, "predictions", kind)["id"]) == sorted(f"p{n}" for n in range(28))
        assert sorted(read(directory, "labels", kind)["id"]) == sorted(f"p{n}" for n in range(9))
        assert read(directory, "failures", kind).height == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_that_was_deleted_is_made_again_and_the_others_stay_as_they_are(tmp_path: Path, kind: str) -> None:
    import shutil

    captured(tmp_path, [prediction(0, 3), label(0)])
    exported(tmp_path, kind)
    shutil.rmtree(tmp_path / "out" / "predictions")
    assert exported(tmp_path, kind).rows == {"predictions": 3, "labels": 0, "failures": 0, "refusals": 0}
    assert read(tmp_path, "labels", kind).height == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_tables_of_a_release_that_knew_no_refusals_get_theirs_from_the_beginning(tmp_path: Path, kind: str) -> None:
    import shutil

    captured(tmp_path, [prediction(0, 3), REFUSAL])
    exported(tmp_path, kind)
    shutil.rmtree(tmp_path / "out" / "refusals")
    assert exported(tmp_path, kind).rows == {"predictions": 0, "labels": 0, "failures": 0, "refusals": 2}


def test_a_range_is_of_what_was_captured_in_it(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(n) for n in range(10)])
    since, until = (datetime.fromtimestamp(T0 / 1e6, UTC).replace(microsecond=n) for n in (3, 7))
    assert exported(tmp_path, since=since, until=until).rows["predictions"] == 4
    assert sorted(read(tmp_path, "predictions", "delta")["id"]) == ["p3", "p4", "p5", "p6"]
    with pytest.raises(Conflict, match="holds delta since"):
        exported(tmp_path, since=since)


def test_a_range_that_can_hold_nothing_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0)])
    with pytest.raises(UserError, match="Expected: an until that is later"):
        exported(tmp_path, since=datetime(2026, 12, 1, tzinfo=UTC), until=datetime(2026, 1, 1, tzinfo=UTC))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a%41", "a[1]", "a|b"])
def test_a_place_that_no_delta_table_can_lie_in_is_refused_before_anything_is_there(tmp_path: Path, name: str) -> None:
    captured(tmp_path / name, [label(0)])
    with pytest.raises(UserError, match=r"in its path.*Next: name another place with --to"):
        exported(tmp_path / name)
    assert [path.name for path in (tmp_path / name).iterdir()] == ["capture"]
    assert exported(tmp_path / name, "parquet").rows["labels"] == 1


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        exported(tmp_path)
    (tmp_path / "out" / "mine.txt").unlink()
    exported(tmp_path)
    with pytest.raises(Conflict, match=r"holds delta.*Expected: parquet"):
        exported(tmp_path, "parquet")


def test_only_one_export_at_a_time_writes_to_a_directory(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0)])
    refused: list[str] = []

    def say(_style: str, _words: str) -> None:
        with pytest.raises(Conflict, match="another export"):
            exported(tmp_path)
        refused.append("once")

    export(tmp_path, tmp_path / "out", Wanted(format="delta"), UNITS, say)
    assert refused == ["once"]


def test_without_a_segment_there_is_nothing_and_no_error(tmp_path: Path) -> None:
    assert exported(tmp_path).rows == {"predictions": 0, "labels": 0, "failures": 0, "refusals": 0}


def test_the_query_of_the_documentation_joins_as_flyball_does(tmp_path: Path) -> None:
    """Ids that were asked for again, shadows, and labels that are repeated, revised, late, and from the future."""

    def told(number: int, came: int, value: str, observed: int | None) -> LabelBatch:
        return LabelBatch(
            at_us=T0 + came,
            model="shop",
            ids=[f"p{number}"],
            values=[value],
            observed_us=[None if observed is None else T0 + observed],
        )

    again = msgspec.structs.replace(prediction(0, 2), at_us=T0 + 900, scores=[[0.9], [0.9]])
    records = [
        prediction(0, 4), prediction(0, 4, role="shadow", unit="u2"), again,
        told(0, 1_000, "0", None), told(0, 2_000, "1", 1_500), told(0, 3_000, "0", 10),
        told(1, 1_000, "0", 90_000), told(1, 1_100, "1", None), told(2, 1_000, "1", 5), told(2, 1_200, "0", 5), told(9, 1_000, "1", None),
    ]  # fmt: skip
    captured(tmp_path, records)
    signature = Signature(task="binary", columns=COLUMNS, classes=("0", "1"))
    exported(tmp_path, "parquet", {unit: Served(signature, None) for unit in ("u1", "u2")})
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    query = page.partition("```sql\n")[2].partition("```")[0].replace("captured/", f"{tmp_path / 'out'}/")
    found = duckdb.execute(query).fetchall()
    ours = join(records, "binary", ("0", "1"), 1)
    _, _, scores, labels, _ = ours.answers(0, 1 << 62)
    assert len(found) == 1
    assert found[0][1:] == pytest.approx((len(labels), scores.mean(), np.nanmean(labels)))
    assert np.nansum(labels) == 2


def test_a_damaged_segment_costs_its_rest_and_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    good = frame(msgspec.msgpack.encode(prediction(0)))
    (tmp_path / "capture" / "0-1-000001.seg").write_bytes(MAGIC + good + b"\0" * 64)
    (tmp_path / "capture" / "0-1-000002.seg").write_bytes(MAGIC + good)
    report = exported(tmp_path)
    assert (report.rows["predictions"], report.damaged_bytes) == (2, 64)


def test_a_damaged_table_is_told_with_what_to_do(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0)])
    exported(tmp_path, "parquet")
    next((tmp_path / "out" / "predictions").glob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(StoreUnavailable, match="delete its directory and export again"):
        exported(tmp_path, "parquet")


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_hidden_or_sampled_is_in_columns_that_say_so(tmp_path: Path, kind: str) -> None:
    keeper = Keeper(Keeping(hash=("town",), drop=("visits",), sample={"price": 0.5}, keys="drop"), b"k" * 32)
    captured(tmp_path, [prediction(0, 40), keeper.prediction(prediction(40, 40))])
    exported(tmp_path, kind)
    rows = read(tmp_path, "predictions", kind)
    hidden = rows.filter(pl.col("predicted_at") > datetime.fromtimestamp(T0 / 1e6, UTC))
    assert hidden["town"].null_count() == hidden["visits"].null_count() == hidden["key"].null_count() == 40
    assert hidden["town_hash"].n_unique() == 1
    assert 5 < hidden["price"].null_count() < 35
    assert rows["town"].count() == 40


@pytest.mark.parametrize("kind", FORMATS)
def test_a_new_feature_and_a_changed_type_get_their_own_columns(tmp_path: Path, kind: str) -> None:
    writer = captured(tmp_path, [prediction(0)])
    exported(tmp_path, kind)
    changed = Signature(task="binary", classes=("no", "yes"), columns=(
        Column(name="price", type=ColumnType.CATEGORY), Column(name="hour", type=ColumnType.NUMBER),
    ))  # fmt: skip
    writer.hand_over([prediction(1, unit="u2", price=["cheap"], hour=[4.0])])
    exported(tmp_path, kind, {**UNITS, "u2": Served(changed, None)})
    path = tmp_path / "out" / "predictions"
    wanted = [(1.5, None, None), (None, "cheap", 4.0)]
    if kind == "delta":
        assert pl.read_delta(str(path)).sort("id").select("price", "price_category", "hour").rows() == wanted
    else:  # as docs/operations.md says
        query = "select price, price_category, hour from read_parquet($1, union_by_name = true) order by id"
        assert duckdb.execute(query, [str(path / "*.parquet")]).fetchall() == wanted


def test_rows_of_a_unit_that_nobody_knows_any_more_are_there_without_its_classes(tmp_path: Path) -> None:
    captured(tmp_path, [prediction(0, unit="gone", price=[2.5], zone=["b"]), prediction(1)])
    exported(tmp_path)
    rows = read(tmp_path, "predictions", "delta").sort("id")
    assert rows.select("price", "zone", "label").rows() == [(2.5, "b", None), (1.5, None, "yes")]


@pytest.fixture
def several() -> dict[str, Served]:
    columns = (Column(name="x", type=ColumnType.NUMBER),)
    return {
        "many": Served(Signature(task="multiclass", columns=columns, classes=("a", "b", "c")), None),
        "number": Served(Signature(task="regression", columns=columns), None),
    }


def test_more_classes_and_numbers_have_their_own_scores_and_labels(tmp_path: Path, several: dict[str, Served]) -> None:
    of_many = msgspec.structs.replace(prediction(0, unit="many", x=[1.0]), scores=[[0.1, 0.7, 0.2]])
    of_number = msgspec.structs.replace(prediction(1, unit="number", x=[1.0]), scores=[[41.5]])
    captured(tmp_path, [of_many, of_number, label(0, "b"), label(1, 40.25)])
    exported(tmp_path, units=several)
    rows = read(tmp_path, "predictions", "delta").sort("id")
    assert rows.select("score", "scores", "label").rows() == [(None, [0.1, 0.7, 0.2], "b"), (41.5, None, None)]
    assert read(tmp_path, "labels", "delta").sort("id").select("label", "value").rows() == [("b", None), (None, 40.25)]


def test_every_feature_has_a_column_of_its_own_whatever_it_is_called() -> None:
    names = Names()
    features = ["key", "Score", "unit price", "unit_price", "Unit_Price", "town", "town_hash", "a;b"]
    given = [names.of(feature, "number") for feature in features] + [names.of("town", "hash"), names.of("town", "category")]
    assert given == [
        "key_", "Score_", "unit_price", "unit_price_", "Unit_Price__", "town", "town_hash", "a_b", "town_hash_", "town_category",
    ]  # fmt: skip
    assert len({name.casefold() for name in given}) == len(given)
    assert [names.of(feature, "number") for feature in features] == given[: len(features)]


@pytest.mark.parametrize("kind", FORMATS)
def test_segments_that_were_removed_since_take_nothing_from_the_tables_and_add_nothing(tmp_path: Path, kind: str) -> None:
    writer = captured(tmp_path, [prediction(10 * n, 10) for n in range(40)], segment_bytes=2_000)
    exported(tmp_path, kind)
    segments = sorted((tmp_path / "capture").glob("*.seg"))
    for path in segments[: len(segments) // 2]:
        path.unlink()
    assert writer.hand_over([prediction(400, 10)])
    assert exported(tmp_path, kind).rows["predictions"] == 10
    assert exported(tmp_path, kind).rows["predictions"] == 0
    assert read(tmp_path, "predictions", kind)["id"].n_unique() == read(tmp_path, "predictions", kind).height == 410
