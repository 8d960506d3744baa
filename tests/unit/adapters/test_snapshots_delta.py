from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from projects import rows

from flyball.adapters.snapshots_delta import DeltaSnapshots, content_digest
from flyball.errors import ArtifactDamaged, NotFound
from flyball.records.unit import SnapshotRef

FRAME = rows(200).cast({"at": pl.Datetime("us", "UTC")})
ORDER = ("at", "id")


def write(store: DeltaSnapshots, frame: pl.DataFrame) -> SnapshotRef:
    return store.write("shop", frame, time="at", order=ORDER)


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    store = DeltaSnapshots(tmp_path)
    first = write(store, FRAME)
    assert write(store, FRAME.reverse()) == first
    assert write(DeltaSnapshots(tmp_path), FRAME) == first
    assert (first.version, first.rows) == (0, 200)
    assert first.since == FRAME["at"].min()


def test_every_version_can_be_read_again(tmp_path: Path) -> None:
    store = DeltaSnapshots(tmp_path)
    frames = [FRAME.head(50), FRAME, FRAME.with_columns(extra=pl.lit("x")), FRAME.head(50)]
    refs = [write(store, frame) for frame in frames]
    assert [ref.version for ref in refs] == [0, 1, 2, 0]
    for ref, frame in zip(refs, frames, strict=True):
        assert store.read(ref).equals(frame.sort(ORDER))


def test_a_directory_may_have_a_name_that_is_none_in_a_url(tmp_path: Path) -> None:
    store = DeltaSnapshots(tmp_path / "My Shop é")
    assert store.read(write(store, FRAME)).equals(FRAME.sort(ORDER))


def test_a_snapshot_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    store = DeltaSnapshots(tmp_path)
    ref = write(store, FRAME)
    with pytest.raises(ArtifactDamaged, match="does not hold what was written"):
        store.read(msgspec.structs.replace(ref, content_digest="0" * 64))
    for path in (tmp_path / "shop").glob("*.parquet"):
        path.unlink()
    with pytest.raises(ArtifactDamaged):
        store.read(ref)
    with pytest.raises(NotFound):
        store.read(msgspec.structs.replace(ref, table="other"))


@pytest.mark.parametrize(
    "change",
    [
        pl.col("wind").fill_null(0.0),
        pl.col("wind").alias("gust"),
        pl.col("hour") + 1,
        pl.col("at") + timedelta(microseconds=1),
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("")).otherwise(pl.col("carrier")).alias("carrier"),
        pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise(pl.col("carrier")).alias("carrier"),
    ],
)
def test_any_change_changes_the_digest(change: pl.Expr) -> None:
    assert content_digest(FRAME.with_columns(change)) != content_digest(FRAME)


def test_texts_that_run_together_are_told_apart() -> None:
    assert content_digest(pl.DataFrame({"a": ["ab", "c"]})) != content_digest(pl.DataFrame({"a": ["a", "bc"]}))
