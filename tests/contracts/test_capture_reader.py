"""What the CaptureReader port promises, over real segments."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import pytest

from flyball.adapters import capture_files, capture_removal
from flyball.adapters.capture_files import CaptureFiles
from flyball.adapters.capture_memory import MemoryCapture
from flyball.capture.framing import MAGIC, frame
from flyball.control.ports import CaptureReader
from flyball.gateway.capture_writer import CaptureWriter
from flyball.records.captured import Captured, CaptureDamage, FailureBatch, LabelBatch, RefusalBatch, Refused
from flyball.records.routing import GatewayReport


def record(n: int) -> LabelBatch:
    return LabelBatch(at_us=n, model="m", ids=[f"p{n}"], values=["1"], observed_us=[None])


def framed(first: int, count: int) -> list[bytes]:
    return [frame(msgspec.msgpack.encode(record(n))) for n in range(first, first + count)]


def segment(directory: Path, name: str, data: bytes) -> Path:
    (directory / "capture").mkdir(exist_ok=True)
    path = directory / "capture" / name
    path.write_bytes(data)
    return path


REFUSALS = [
    RefusalBatch(at_us=5, model="m", revision=1, refused=[Refused("RequestError", 422, 2, 20, "age", "type", "text", "a number")]),
    RefusalBatch(at_us=6, model="m", revision=1, refused=[Refused("Overloaded", 429, 7, 7)]),
]  # fmt: skip


def numbers(records: tuple[Captured, ...]) -> list[int]:
    return [one.at_us for one in records]


def test_all_segments_are_read_in_order_and_only_what_is_new_afterwards(tmp_path: Path) -> None:
    reader = CaptureFiles(tmp_path)
    assert reader.read({})[:2] == ((), {})
    one = segment(tmp_path, "0-100-000001.seg", MAGIC + b"".join(framed(0, 3)))
    segment(tmp_path, "1-90-000001.seg", MAGIC + frame(msgspec.msgpack.encode(FailureBatch(
        at_us=70, model="m", unit="u", role="canary", n=1, reason="x", answered_by=None))))  # fmt: skip
    found, cursor, *_ = reader.read({})
    assert numbers(found) == [0, 1, 2, 70]
    assert reader.read(cursor)[:2] == ((), cursor)
    with one.open("ab") as file:
        file.write(b"".join(framed(3, 2)))
    segment(tmp_path, "0-99-000002.seg", MAGIC + b"".join(framed(10, 1)))
    found, cursor, *_ = CaptureFiles(tmp_path).read(cursor)
    assert sorted(numbers(found)) == [3, 4, 10]
    assert numbers(CaptureFiles(tmp_path).read({})[0]) == [10, 0, 1, 2, 3, 4, 70]


def test_what_was_refused_is_read_as_it_was_written_among_all_others(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "capture", "0", lambda: 1)
    handed = [record(1), *REFUSALS, record(9)]
    assert all(writer.hand_over([each]) for each in handed)
    writer.close()
    memory = MemoryCapture()
    memory.hand_over(handed)
    readers: list[CaptureReader] = [CaptureFiles(tmp_path), memory]
    for reader in readers:
        assert list(reader.read({}).records) == handed


def test_a_torn_tail_is_left_for_later_whatever_its_length(tmp_path: Path) -> None:
    frames = framed(0, 3)
    whole = MAGIC + b"".join(frames)
    for cut in range(len(whole)):
        path = segment(tmp_path, "0-1-000001.seg", whole[:cut])
        found, cursor, *_ = CaptureFiles(tmp_path).read({})
        complete = sum(len(MAGIC) + sum(map(len, frames[: n + 1])) <= cut for n in range(3))
        assert numbers(found) == list(range(complete))
        path.write_bytes(whole)
        rest, cursor, *_ = CaptureFiles(tmp_path).read(cursor)
        assert numbers(found + rest) == [0, 1, 2]
        assert cursor == {path.name: len(whole)}


def test_a_damaged_frame_costs_itself_where_its_length_leads_to_a_whole_one(tmp_path: Path) -> None:
    frames = framed(0, 8)
    data = bytearray(MAGIC + b"".join(frames))
    places = [len(MAGIC) + sum(map(len, frames[:number])) for number in (0, 3, 7)]
    for at in places:
        data[at + 12] ^= 1
    path = segment(tmp_path, "0-1-000001.seg", bytes(data))
    reader = CaptureFiles(tmp_path)
    found = reader.read({})
    assert numbers(found.records) == [1, 2, 4, 5, 6]
    assert [(each.offset, each.bytes) for each in found.damaged] == [(at, len(frames[0])) for at in places]
    with path.open("ab") as file:
        file.write(b"".join(framed(8, 1)))
    found = reader.read(found.cursor)
    assert (numbers(found.records), found.damaged) == ([8], ())


def test_a_damaged_length_costs_the_rest_of_its_segment_and_is_counted_exactly(tmp_path: Path) -> None:
    frames = framed(0, 5)
    data = bytearray(MAGIC + b"".join(frames))
    at = len(MAGIC) + sum(map(len, frames[:2]))
    data[at] ^= 1
    segment(tmp_path, "0-1-000001.seg", bytes(data))
    segment(tmp_path, "0-1-000002.seg", MAGIC + b"".join(framed(9, 1)))
    reader = CaptureFiles(tmp_path)
    found, cursor, _, _, told = reader.read({})
    assert numbers(found) == [0, 1, 9]
    assert cursor["0-1-000001.seg"] == len(data)
    assert told == (CaptureDamage(segment="0-1-000001.seg", offset=at, bytes=len(data) - at),)
    assert reader.damaged() == told
    assert reader.read(cursor) == ((), cursor, False, (), ())


def test_a_frame_that_is_no_record_and_a_file_that_is_no_segment_are_damage(tmp_path: Path) -> None:
    good = framed(0, 2)
    segment(tmp_path, "0-1-000001.seg", MAGIC + good[0] + frame(b"\xc1 not msgpack") + good[1])
    segment(tmp_path, "0-1-000002.seg", b"something else, long enough")
    segment(tmp_path, "0-1-000003.seg", MAGIC + good[1] + b"\0" * 64)
    reader = CaptureFiles(tmp_path)
    assert numbers(reader.read({})[0]) == [0, 1, 1]
    head = len(MAGIC) + len(good[0])
    assert [(damage.segment[-5], damage.offset) for damage in reader.damaged()] == [("1", head), ("2", 0), ("3", head)]


def test_reading_is_bounded_and_comes_to_the_same_end(tmp_path: Path, monkeypatch: object) -> None:
    everything = b"".join(framed(0, 50))
    segment(tmp_path, "0-1-000001.seg", MAGIC + everything)
    segment(tmp_path, "0-1-000002.seg", MAGIC + b"".join(framed(50, 50)))
    original = capture_files.CHUNK_BYTES, capture_files.READ_BYTES
    try:
        # A frame is longer than a chunk, and a call reads less than a segment.
        capture_files.CHUNK_BYTES, capture_files.READ_BYTES = 20, 400
        found: tuple[Captured, ...] = ()
        cursor: dict[str, int] = {}
        calls = 0
        while True:
            more, cursor, *_ = CaptureFiles(tmp_path).read(cursor)
            if not more:
                break
            found, calls = found + more, calls + 1
    finally:
        capture_files.CHUNK_BYTES, capture_files.READ_BYTES = original
    assert numbers(found) == list(range(100))
    assert calls > 5


def test_lost_records_are_summed_over_workers_and_their_restarts(tmp_path: Path) -> None:
    said: list[GatewayReport] = []
    reader = CaptureFiles(tmp_path, lambda: said)
    assert reader.lost() == 0
    said[:] = [_report("0", 10, 3), _report("1", 11, 0)]
    assert reader.lost() == 3
    said[:] = [_report("0", 20, 2), _report("1", 0, 0)]
    assert reader.lost() == 5


def _report(worker: str, pid: int, lost: int) -> GatewayReport:
    return GatewayReport(worker=worker, pid=pid, revision=1, digest="d", capture_lost=lost)


def test_what_a_gateway_writes_is_what_is_read_segment_after_segment(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "capture", "0", lambda: 1_000, segment_bytes=300)
    for n in range(30):
        assert writer.hand_over([record(2 * n), record(2 * n + 1)])
    found, cursor, *_ = CaptureFiles(tmp_path).read({})
    assert numbers(found) == list(range(60))
    assert len(cursor) > 3
    writer.close()


class Workers:
    """Of a gateway, as their segments lie on the disk: each holds the newest of its own locked."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "capture"
        self._held: dict[str, tuple[str, int]] = {}

    def append(self, name: str, records: list[Captured]) -> None:
        self._directory.mkdir(exist_ok=True)
        path, worker = self._directory / f"{name}.seg", name.partition("-")[0]
        with path.open("ab") as file:
            file.write((b"" if path.stat().st_size else MAGIC) + b"".join(frame(msgspec.msgpack.encode(one)) for one in records))
        written = 1_000 * max(one.at_us for one in records)
        os.utime(path, ns=(written, written))
        if name > self._held.get(worker, ("", 0))[0]:
            self.end(worker)
            self._held[worker] = name, os.open(path, os.O_RDONLY)
            fcntl.flock(self._held[worker][1], fcntl.LOCK_SH)

    def end(self, worker: str) -> None:
        if worker in self._held:
            os.close(self._held.pop(worker)[1])


class Remembered:
    """The same, in memory."""

    def __init__(self, capture: MemoryCapture) -> None:
        self._capture = capture
        self._newest: dict[str, str] = {}

    def append(self, name: str, records: list[Captured]) -> None:
        self._capture.hand_over(records, name)
        worker = name.partition("-")[0]
        self._newest[worker] = max(name, self._newest.get(worker, ""))

    def end(self, worker: str) -> None:
        self._capture.end(self._newest[worker])


@pytest.fixture(params=["files", "files, a record at once", "memory", "memory, three at once"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[CaptureReader, Workers | Remembered]]:
    """A reader, and the workers that write what it reads."""
    if "memory" in request.param:
        memory = MemoryCapture(3 if "three" in request.param else None)
        yield memory, Remembered(memory)
        return
    workers = Workers(tmp_path)
    yield CaptureFiles(tmp_path, at_once=1 if "record" in request.param else None), workers
    for worker in "01":
        workers.end(worker)


def test_every_reader_hands_out_each_record_once_and_again_from_an_empty_cursor(reader: tuple) -> None:
    read, append = reader[0].read, reader[1].append
    assert read({})[:2] == ((), {})
    append("0-1-000001", [record(n) for n in range(5)])
    append("1-1-000001", [record(n) for n in range(10, 12)])
    found, cursor = _drained(read, {})
    assert numbers(found) == [0, 1, 2, 3, 4, 10, 11]
    assert read(cursor)[:2] == ((), cursor)
    append("0-1-000001", [record(5)])
    more, cursor = _drained(read, cursor)
    assert numbers(more) == [5]
    assert numbers(_drained(read, {})[0]) == [0, 1, 2, 3, 4, 5, 10, 11]
    assert reader[0].lost() == 0


def test_every_reader_that_says_that_there_is_no_more_has_read_all_that_there_was(reader: tuple) -> None:
    capture, workers = reader
    for number in range(12):
        workers.append(f"{number % 2}-1-000001", [record(number)])
    found: list[int] = []
    cursor: dict[str, int] = {}
    more = True
    while more:
        portion = capture.read(cursor)
        assert not portion.more or portion.cursor != cursor
        cursor, more = portion.cursor, portion.more
        found += numbers(portion.records)
    assert sorted(found) == list(range(12))


MINUTE = 60_000_000


def test_every_reader_removes_what_is_old_but_what_a_worker_writes_to_and_hands_out_what_stays(reader: tuple) -> None:
    capture, append = reader[0], reader[1].append
    for worker in range(2):
        for minute in range(1, 5):
            append(f"{worker}-1-{minute:06d}", [record(minute * MINUTE + worker)])
    _, cursor = _drained(capture.read, {})
    removed = capture.remove(3 * MINUTE - MINUTE // 2)
    assert [name.removesuffix(".seg") for name in removed.names] == ["0-1-000001", "0-1-000002", "1-1-000001", "1-1-000002"]
    assert not removed.more
    assert capture.remove(3 * MINUTE - MINUTE // 2).names == ()
    left = [minute * MINUTE + worker for worker in range(2) for minute in (3, 4)]
    assert numbers(_drained(capture.read, {})[0]) == left
    assert capture.read(cursor)[:2] == ((), cursor)
    assert len(capture.remove(9 * MINUTE).names) == 2
    append("0-1-000004", [record(10 * MINUTE)])
    append("1-1-000005", [record(10 * MINUTE)])
    assert numbers(_drained(capture.read, cursor)[0]) == [10 * MINUTE, 10 * MINUTE]


def test_every_reader_removes_the_last_segment_of_a_worker_that_is_gone_once_it_is_old(reader: tuple) -> None:
    capture, workers = reader
    for worker in "01":
        workers.append(f"{worker}-1-000001", [record(MINUTE)])
    assert capture.remove(9 * MINUTE).names == ()
    workers.end("1")
    assert capture.remove(MINUTE // 2).names == ()
    assert [name.removesuffix(".seg") for name in capture.remove(9 * MINUTE).names] == ["1-1-000001"]
    assert numbers(_drained(capture.read, {})[0]) == [MINUTE]


def test_every_reader_may_leave_out_what_is_older_than_is_asked_for_and_nothing_else(reader: tuple) -> None:
    capture, append = reader[0], reader[1].append
    for minute in range(1, 5):
        append(f"0-1-{minute:06d}", [record(minute * MINUTE), record(minute * MINUTE + MINUTE // 2)])
    since = 3 * MINUTE + 7
    found, cursor, *_ = _drained(lambda at: capture.read(at, since), {})
    assert numbers(found) == [3 * MINUTE, 3 * MINUTE + MINUTE // 2, 4 * MINUTE, 4 * MINUTE + MINUTE // 2]
    append("0-1-000001", [record(5 * MINUTE)])  # what was old is written to again
    assert 5 * MINUTE in numbers(_drained(lambda at: capture.read(at, since), cursor)[0])


def test_what_a_living_worker_writes_to_is_never_removed_however_long_it_was_silent(tmp_path: Path) -> None:
    silent = CaptureWriter(tmp_path / "capture", "0", lambda: 1)
    later = CaptureWriter(tmp_path / "capture", "0", lambda: 2)
    assert silent.hand_over([record(1)])
    assert later.hand_over([record(2)])
    for path in (tmp_path / "capture").glob("*.seg"):
        os.utime(path, ns=(0, 0))
    reader = CaptureFiles(tmp_path)
    assert reader.remove(1 << 60).names == ()
    assert silent.hand_over([record(3)])
    assert numbers(CaptureFiles(tmp_path).read({})[0]) == [1, 3, 2]
    silent.close()
    os.utime(tmp_path / "capture" / "0-1-000001.seg", ns=(0, 0))
    assert reader.remove(1 << 60).names == ("0-1-000001.seg",)
    later.close()


def test_torn_damaged_and_missing_segments_keep_nobody_from_reading_or_removing_the_others(tmp_path: Path) -> None:
    good = framed(0, 2)
    segment(tmp_path, "0-1-000001.seg", MAGIC + good[0][:-3])
    segment(tmp_path, "0-1-000002.seg", MAGIC + good[0] + b"\xff" * 40)
    (tmp_path / "capture" / "0-1-000003.seg").symlink_to(tmp_path / "gone")  # as one that is removed between a look and the next
    segment(tmp_path, "0-1-000004.seg", MAGIC + good[1])
    for number in (1, 2):
        os.utime(tmp_path / "capture" / f"0-1-{number:06d}.seg", ns=(0, 0))
    reader = CaptureFiles(tmp_path)
    found, cursor, *_ = reader.read({})
    assert numbers(found) == [0, 1]
    assert [damage.segment for damage in reader.torn(cursor)] == ["0-1-000001.seg"]
    assert reader.remove(2_000_000).names == ("0-1-000001.seg", "0-1-000002.seg")
    assert reader.torn(cursor) == ()
    assert numbers(CaptureFiles(tmp_path).read({})[0]) == [1]


def test_very_many_old_segments_are_removed_in_portions(tmp_path: Path) -> None:
    for number in range(capture_removal.AT_ONCE + 3):
        os.utime(segment(tmp_path, f"0-1-{number:06d}.seg", MAGIC), ns=(0, 0))
    reader = CaptureFiles(tmp_path)
    first = reader.remove(2_000_000)
    assert (len(first.names), first.more, first.bytes) == (capture_removal.AT_ONCE, True, capture_removal.AT_ONCE * len(MAGIC))
    assert (len(reader.remove(2_000_000).names), reader.remove(2_000_000).more) == (3, False)
    assert reader.segments() == ()


def test_a_segment_that_cannot_be_read_is_told_once_and_keeps_nobody_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = segment(tmp_path, "0-1-000001.seg", MAGIC + b"".join(framed(0, 3)))
    segment(tmp_path, "0-1-000002.seg", MAGIC + b"".join(framed(3, 1)))
    opened, refused = Path.open, {bad}

    def refusing(path: Path, *given: object, **more: object) -> object:
        if path in refused:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path, *given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    reader = CaptureFiles(tmp_path)
    found, cursor, more, unread, damaged = reader.read({})
    assert (numbers(found), more, unread) == ([3], False, ((bad.name, "Input/output error"),))
    assert damaged == ()
    assert reader.read(cursor)[1:4] == (cursor, False, unread)
    assert reader.damaged() == (CaptureDamage(segment=bad.name, offset=0, bytes=bad.stat().st_size),)
    refused.clear()
    assert numbers(reader.read(cursor)[0]) == [0, 1, 2]
    assert reader.damaged() == ()


def test_what_can_be_read_before_a_bad_place_of_the_disk_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = framed(0, 6)
    bad = segment(tmp_path, "0-1-000001.seg", MAGIC + b"".join(frames))
    behind = len(MAGIC) + sum(map(len, frames[:3]))
    opened = Path.open

    class Torn:
        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def seek(self, *given: int) -> int:
            return self._file.seek(*given)

        def read(self, size: int) -> bytes:
            if self._file.tell() + size > behind + 1:
                raise OSError(errno.EIO, "Input/output error")
            return self._file.read(size)

    monkeypatch.setattr(capture_files, "CHUNK_BYTES", len(frames[0]) + len(MAGIC))
    monkeypatch.setattr(Path, "open", lambda path, mode: Torn(opened(path, mode)))
    reader = CaptureFiles(tmp_path)
    first, second = reader.read({}), reader.read(reader.read({}).cursor)
    assert numbers(first.records)[:1] == [0]
    assert numbers(first.records) == list(range(len(first.records)))
    assert second.records == ()
    assert [name for name, _ in first.unread] == [name for name, _ in second.unread] == [bad.name]


def _drained(read: Callable, cursor: dict[str, int]) -> tuple[tuple[Captured, ...], dict[str, int]]:
    found: tuple[Captured, ...] = ()
    while True:
        portion = read(cursor)
        found, cursor = found + portion.records, portion.cursor
        if not portion.more:
            return found, cursor
