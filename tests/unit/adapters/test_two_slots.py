"""A record in two slots: the newest whole one counts, and nothing that goes wrong with a write touches the other."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.two_slots import TwoSlots
from flyball.errors import StoreUnavailable

SLOT_BYTES = 512


class Note(msgspec.Struct, frozen=True):
    n: int
    words: str = ""


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[TwoSlots[Note]]:
    made = TwoSlots(tmp_path / "note", SLOT_BYTES, Note, "n")
    (tmp_path / "note").write_bytes(made.image(Note(0)))
    yield made
    made.close()


def newest(slots: TwoSlots[Note]) -> Note | None:
    found = slots.newest()
    return None if found is None else found.record


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The kernel then writes what fits, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_records_go_into_the_slots_in_turn_and_the_file_never_grows(slots: TwoSlots[Note], tmp_path: Path) -> None:
    for n in range(1, 6):
        slots.write(Note(n), n % 2, durable=False)
        found = slots.newest()
        assert found is not None
        assert (found.record, found.slot) == (Note(n), n % 2)
    assert (tmp_path / "note").stat().st_size == 2 * SLOT_BYTES


def test_a_record_longer_than_its_slot_is_refused_before_it_touches_the_other(slots: TwoSlots[Note]) -> None:
    slots.write(Note(1), 1, durable=False)
    with pytest.raises(StoreUnavailable, match="fewer than 512"):
        slots.write(Note(2, "x" * SLOT_BYTES), 0, durable=False)
    assert newest(slots) == Note(1)


def test_a_write_that_comes_to_an_end_half_way_is_told_and_the_record_before_it_stands(slots: TwoSlots[Note]) -> None:
    slots.write(Note(1), 1, durable=False)
    slots.write(Note(2), 0, durable=False)
    with files_no_longer_than(SLOT_BYTES + 8), pytest.raises(StoreUnavailable, match="8 of 512 bytes"):
        slots.write(Note(3), 1, durable=False)
    assert newest(slots) == Note(2)


def test_a_file_that_was_put_in_its_place_is_the_one_that_counts(slots: TwoSlots[Note], tmp_path: Path) -> None:
    slots.write(Note(7), 1, durable=True)
    (tmp_path / "backup").write_bytes(slots.image(Note(3)))
    (tmp_path / "backup").replace(tmp_path / "note")
    assert newest(slots) == Note(3)


def test_nothing_is_read_out_of_rubbish(slots: TwoSlots[Note], tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"rubbish" * 200)
    assert slots.newest() is None
