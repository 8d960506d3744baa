"""What a killed replay finds of itself: the newest whole position, what it was begun from, and no record that nobody has looked at."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.replay_files import POSITION, SLOT_BYTES, Begun, ReplayFiles, rewind
from flyball.control.replay_position import Position, Sent, Stage
from flyball.errors import StoreUnavailable

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)


BEGUN = Begun(parts={"policies: of flyball.yaml": "a", "the data": "b"})


def files(directory: Path, seconds: float = 0.0) -> ReplayFiles:
    return ReplayFiles(directory, lambda: seconds)


def begun(directory: Path, seconds: float = 0.0) -> ReplayFiles:
    made = files(directory, seconds)
    made.begin(BEGUN, Position(at=AT))
    return made


def position(hours: int) -> Position:
    return Position(
        stage=Stage.SENDING,
        at=AT + timedelta(hours=hours),
        request=hours,
        sent=Sent(requests=hours),
        cursor={"0-1-000001.seg": 8},
    )


def test_the_newest_position_is_taken_up_with_the_time_that_was_spent(tmp_path: Path) -> None:
    first = begun(tmp_path, 10.0)
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
    kept = begun(tmp_path)
    for hours in range(written):
        kept.keep(position(hours))
    data = bytearray((tmp_path / POSITION).read_bytes())
    at = written % 2 * SLOT_BYTES
    data[at + 20 : at + SLOT_BYTES] = b"\0" * (SLOT_BYTES - 20)
    (tmp_path / POSITION).write_bytes(data)
    assert files(tmp_path).take_up() == position(written - 2)


def test_a_replay_that_was_only_begun_stands_at_its_beginning(tmp_path: Path) -> None:
    assert (files(tmp_path).begun(), files(tmp_path).report()) == (None, None)
    begun(tmp_path / "replay")
    assert files(tmp_path / "replay").take_up() == Position(at=AT)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"rubbish"), Path.unlink])
def test_a_position_that_cannot_be_read_is_never_taken_for_the_beginning(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    begun(tmp_path).keep(position(4000))
    spoil(tmp_path / POSITION)
    with pytest.raises(StoreUnavailable, match="--fresh begins anew"):
        files(tmp_path).take_up()


def test_a_position_that_does_not_fit_is_refused_and_the_one_before_it_stands(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    kept.keep(position(1))
    huge = msgspec.structs.replace(position(2), cursor={f"0-1-{number:06d}.seg": 1 << 26 for number in range(2000)})
    with pytest.raises(StoreUnavailable, match="the size of a slot"):
        kept.keep(huge)
    assert files(tmp_path).take_up() == position(1)


def test_what_has_changed_since_the_beginning_is_named(tmp_path: Path) -> None:
    begun(tmp_path)
    found = files(tmp_path).begun()
    assert found is not None
    assert found.changed({"policies: of flyball.yaml": "a", "the data": "b"}) == ()
    assert found.changed({"policies: of flyball.yaml": "c", "the data": "b", "cost: of flyball.yaml": "d"}) == (
        "policies: of flyball.yaml", "cost: of flyball.yaml",
    )  # fmt: skip
    (tmp_path / "begun.json").write_text("{")
    with pytest.raises(StoreUnavailable, match="--fresh"):
        files(tmp_path).begun()


def test_a_replay_that_is_taken_away_in_part_is_none_any_more(tmp_path: Path) -> None:
    begun(tmp_path / "disk").keep(position(4000))
    (tmp_path / "replay").symlink_to(tmp_path / "disk")  # that is not followed and cannot be taken away as a directory
    with pytest.raises(StoreUnavailable, match=r"replay: .*delete .*replay by hand"):
        files(tmp_path / "replay").clear()
    assert (tmp_path / "disk" / POSITION).exists()
    assert files(tmp_path / "replay").begun() is None, "so nobody goes on with what was left of it"


def test_all_of_a_replay_is_taken_away_also_where_there_was_none(tmp_path: Path) -> None:
    made = begun(tmp_path / "replay")
    for _ in range(2):
        made.clear()
        assert not (tmp_path / "replay").exists()
    shutil.rmtree(tmp_path)
    made.clear()


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
