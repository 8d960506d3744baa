"""Whatever a killed or a second writer leaves in `capture/`: every complete record is read once, the loss is counted, an independent reader agrees."""

import multiprocessing
import os
import struct
import time
import zlib
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.capture_files import CaptureFiles
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import LabelBatch, PredictionBatch

POSITIONS = 4096


def record(number: int) -> PredictionBatch:
    return PredictionBatch(
        at_us=number, model="shop", unit="u1", role="champion", revision=1, ids=[f"{number:08d}"], keys=["k"],
        columns={"x": [float(number)], "town": ["Oslo" * (number % 9)]}, scores=[[0.5]], latency_us=1,
    )  # fmt: skip


def written(directory: Path, count: int) -> Path:
    writer = CaptureWriter(directory / "capture", "0", lambda: 1)
    assert all(writer.hand_over([record(number)]) for number in range(count))
    writer.close()
    return next((directory / "capture").glob("*.seg"))


def by_hand(data: bytes) -> tuple[list[int], int]:
    """(numbers of the complete records, where they end), from the description of the format alone."""
    numbers, at = [], 8
    while len(data) - at >= 8:
        length, checksum = struct.unpack_from("<II", data, at)
        payload = data[at + 8 : at + 8 + length]
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            break
        numbers.append(msgspec.msgpack.decode(payload)["at_us"])
        at += 8 + length
    return numbers, at


def numbers(directory: Path) -> list[int]:
    return [one.at_us for one in CaptureFiles(directory).read({})[0]]


def test_torn_at_each_of_the_last_4096_positions_every_complete_record_is_read_and_the_rest_when_it_is_there(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, 60)
    whole = path.read_bytes()
    assert len(whole) > POSITIONS
    assert numbers(tmp_path) == list(range(60))
    complete, end = by_hand(whole)
    for cut in range(len(whole) - 1, len(whole) - POSITIONS - 1, -1):
        os.truncate(path, cut)
        if cut < end:
            complete, end = by_hand(whole[:cut])
        reader = CaptureFiles(tmp_path)
        found, cursor, *_ = reader.read({})
        assert [one.at_us for one in found] == complete == list(range(len(complete)))
        assert cursor == {path.name: end}  # at most one record is dropped, and the cursor says where it begins
        assert reader.damaged() == ()  # a writer may still be at it
    path.write_bytes(whole)
    assert [one.at_us for one in CaptureFiles(tmp_path).read(cursor)[0]] == list(range(len(complete), 60))


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 4096, bytes(range(256)) * 16, b"\xff" * 4096, b"\x01", b"\x10\0\0\0\0\0\0\0" + b"x" * 16],
    ids=["NUL", "garbage", "ones", "one byte", "a frame with a wrong checksum"],
)
def test_a_tail_that_is_no_record_is_never_read_and_counted_to_the_byte(tmp_path: Path, tail: bytes) -> None:
    path = written(tmp_path, 50)
    good = path.read_bytes()
    CaptureWriter(tmp_path / "capture", "0", lambda: 2).hand_over([record(100)])  # the worker was started again
    for cut in {len(tail), max(len(tail) // 2, 1), 1}:
        path.write_bytes(good + tail[:cut])
        reader = CaptureFiles(tmp_path)
        found, cursor, *_ = reader.read({})
        assert [one.at_us for one in found] == [*range(50), 100]
        told = [*reader.damaged(), *reader.torn(cursor)]
        assert [(damage.segment, damage.offset, damage.bytes) for damage in told] == [(path.name, len(good), len(tail[:cut]))]


def test_a_torn_record_is_followed_by_the_next_segment_of_the_restarted_writer(tmp_path: Path) -> None:
    path = written(tmp_path, 20)
    path.write_bytes(path.read_bytes()[:-5])
    reader = CaptureFiles(tmp_path)
    assert reader.torn(reader.read({})[1]) == ()  # it may still be written
    writer = CaptureWriter(tmp_path / "capture", "0", lambda: 2)
    assert writer.hand_over([record(100)])
    found, cursor, *_ = reader.read({})
    assert sorted(one.at_us for one in found) == [*range(19), 100]
    assert [damage.segment for damage in reader.torn(cursor)] == [path.name]


def _write(directory: Path, worker: str, first: int, count: int, started: int) -> None:
    writer = CaptureWriter(directory / "capture", worker, lambda: started, segment_bytes=20_000)
    for number in range(first, first + count):
        assert writer.hand_over(
            [record(number), LabelBatch(at_us=-number - 1, model="m", ids=["a"], values=["1"], observed_us=[None])]
        )
    writer.close()


@pytest.mark.parametrize(
    "workers", [("0", "1"), ("0", "0")], ids=["of two workers", "of two processes that take themselves for the same worker"]
)
def test_two_writers_on_one_directory_lose_nothing_and_write_into_no_file_of_the_other(
    tmp_path: Path, workers: tuple[str, str]
) -> None:
    context = multiprocessing.get_context("spawn")
    # Started at different microseconds, as two processes are: the name of a segment says which is whose.
    both = [
        context.Process(target=_write, args=(tmp_path, worker, 10_000 * at, 2_000, 7 + at)) for at, worker in enumerate(workers)
    ]
    for process in both:
        process.start()
    seen: list[int] = []
    cursor: dict[str, int] = {}
    reader = CaptureFiles(tmp_path)
    while any(process.is_alive() for process in both):
        found, cursor, *_ = reader.read(cursor)  # while they write
        seen += [one.at_us for one in found]
        time.sleep(0.005)
    assert [process.exitcode for process in both] == [0, 0]
    seen += [one.at_us for one in reader.read(cursor)[0]]
    wanted = [*range(2_000), *range(10_000, 12_000)]
    assert sorted(seen) == sorted([*wanted, *(-number - 1 for number in wanted)])
    assert reader.damaged() == ()


def test_two_writers_of_one_name_that_start_at_the_same_microsecond_do_not_mix(tmp_path: Path) -> None:
    first, second = (CaptureWriter(tmp_path / "capture", "0", lambda: 9) for _ in range(2))
    assert first.hand_over([record(1)])
    assert not second.hand_over([record(2)])  # the name is taken: counted as lost, and tried again under the next one
    assert (second.lost_records, second.last_error) == (1, "0-9-000001.seg: File exists")
    assert numbers(tmp_path) == [1]
