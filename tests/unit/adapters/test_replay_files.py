"""What a killed replay finds of itself: the newest whole position, what it was begun from, and no record that nobody has looked at."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flyball.adapters.replay_files import POSITION, SLOT_BYTES, Begun, ReplayFiles, rewind
from flyball.control.replay_position import Position, Sent, Stage
from flyball.errors import StoreUnavailable

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)


def files(directory: Path, seconds: float = 0.0) -> ReplayFiles:
    return ReplayFiles(directory, lambda: seconds)


def position(hours: int) -> Position:
    return Position(
        stage=Stage.SENDING,
        at=AT + timedelta(hours=hours),
        request=hours,
        sent=Sent(requests=hours),
        cursor={"0-1-000001.seg": 8},
    )


def test_the_newest_position_is_taken_up_with_the_time_that_was_spent(tmp_path: Path) -> None:
    first = files(tmp_path, 10.0)
    first.training_seconds = 4.0
    for hours in range(5):
        first.keep(position(hours))
    second = files(tmp_path, 2.5)
    assert second.take_up() == position(4)
    assert (second.wall_seconds, second.training_seconds) == (12.5, 4.0)
    second.keep(position(5))
    assert files(tmp_path).take_up() == position(5)


@pytest.mark.parametrize("written", range(2, 6))
def test_a_torn_write_leaves_the_position_before_it(tmp_path: Path, written: int) -> None:
    kept = files(tmp_path)
    for hours in range(written):
        kept.keep(position(hours))
    data = bytearray((tmp_path / POSITION).read_bytes())
    at = written % 2 * SLOT_BYTES
    data[at + 20 : at + SLOT_BYTES] = b"\0" * (SLOT_BYTES - 20)
    (tmp_path / POSITION).write_bytes(data)
    assert files(tmp_path).take_up() == position(written - 2)


def test_nothing_is_taken_up_where_nothing_was_kept(tmp_path: Path) -> None:
    assert files(tmp_path).take_up() is None
    assert files(tmp_path).begun() is None
    assert files(tmp_path).report() is None
    (tmp_path / POSITION).write_bytes(b"rubbish")
    assert files(tmp_path).take_up() is None


def test_what_has_changed_since_the_beginning_is_named(tmp_path: Path) -> None:
    files(tmp_path).begin(Begun(parts={"policies: of flyball.yaml": "a", "the data": "b"}))
    begun = files(tmp_path).begun()
    assert begun is not None
    assert begun.changed({"policies: of flyball.yaml": "a", "the data": "b"}) == ()
    assert begun.changed({"policies: of flyball.yaml": "c", "the data": "b", "cost: of flyball.yaml": "d"}) == (
        "policies: of flyball.yaml", "cost: of flyball.yaml",
    )  # fmt: skip
    (tmp_path / "begun.json").write_text("{")
    with pytest.raises(StoreUnavailable, match="--fresh"):
        files(tmp_path).begun()


def test_records_behind_the_cursor_are_taken_away_and_no_others(tmp_path: Path) -> None:
    for name, size in (("0-1-000001.seg", 100), ("0-1-000002.seg", 100), ("0-2-000001.seg", 50)):
        (tmp_path / name).write_bytes(os.urandom(size))
    before = (tmp_path / "0-1-000002.seg").read_bytes()
    rewind(tmp_path, {"0-1-000001.seg": 100, "0-1-000002.seg": 60})
    assert sorted((path.name, path.stat().st_size) for path in tmp_path.iterdir()) == [
        ("0-1-000001.seg", 100),
        ("0-1-000002.seg", 60),
    ]
    assert (tmp_path / "0-1-000002.seg").read_bytes() == before[:60]
    rewind(tmp_path / "missing", {})
