"""Claims about the hand-over: what the kernel took is readable, what it did not take is counted exactly."""

import errno
import fcntl
import os
import resource

import msgspec
import pytest

from flyball.capture.framing import unframe
from flyball.gateway.capture_writer import (
    DOUBTFUL_SECONDS,
    PAUSE_SECONDS,
    SEGMENT_SECONDS,
    TIMELESS_US,
    CaptureWriter,
    TimelessWriter,
)
from flyball.records.captured import Captured, LabelBatch, PredictionBatch, RefusalBatch, Refused


class Hands:
    """Of a wall clock, and of seconds that pass whatever it says."""

    now = 1_000_000
    seconds = 0.0

    def __call__(self) -> int:
        return self.now

    def elapsed(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Hands()


def label(at: int, size: int = 100) -> LabelBatch:
    return LabelBatch(at_us=at, model="m", ids=["x" * size, "y"], values=["yes", "no"], observed_us=[None, 5])


def read(directory):
    found = []
    for path in sorted(directory.glob("*.seg")):
        found += [msgspec.msgpack.decode(each, type=Captured) for each in unframe(path.read_bytes()).payloads]
    return found


def test_records_are_in_the_file_before_the_call_returns(tmp_path, clock):
    writer = CaptureWriter(tmp_path / "capture", "w0", clock)
    assert writer.hand_over([label(1), label(2)])
    assert [each.at_us for each in read(tmp_path / "capture")] == [1, 2]
    assert [path.name for path in (tmp_path / "capture").iterdir()] == ["w0-1000000-000001.seg"]
    assert (tmp_path / "capture" / "w0-1000000-000001.seg").stat().st_mode & 0o777 == 0o600


def test_a_full_segment_is_followed_by_the_next(tmp_path, clock):
    writer = CaptureWriter(tmp_path, "w0", clock, segment_bytes=1000)
    for at in range(30):
        assert writer.hand_over([label(at)])
    writer.close()
    assert len(list(tmp_path.glob("*.seg"))) > 2
    assert [each.at_us for each in read(tmp_path)] == list(range(30))


def test_what_was_refused_is_lost_by_its_rows(tmp_path, clock):
    (tmp_path / "file").write_bytes(b"")
    writer = CaptureWriter(tmp_path / "file", "w0", clock, elapsed=clock.elapsed)
    refused = [Refused("RequestError", 422, 2, 20, "age", "type", "text", "a number"), Refused("Overloaded", 429, 3, 3)]
    assert not writer.hand_over([RefusalBatch(at_us=1, model="m", revision=1, refused=refused)])
    assert (writer.lost_records, writer.lost_rows) == (1, 23)


@pytest.mark.parametrize("room", [0, 1, 7, 100, 150, 290, 400])
def test_a_short_write_is_counted_exactly_and_the_next_segment_is_whole(tmp_path, clock, room):
    """A real short write: the kernel stops at the limit of the file's size, without an exception."""
    writer = CaptureWriter(tmp_path, "w0", clock, elapsed=clock.elapsed)
    assert writer.hand_over([label(0)])
    size = next(tmp_path.glob("*.seg")).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, before[1]))
    try:
        assert not writer.hand_over([label(1), label(2), label(3)])
        assert not writer.hand_over([label(4)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = [each.at_us for each in read(tmp_path)]
    assert kept == list(range(5 - writer.lost_records))
    assert writer.lost_rows == 2 * writer.lost_records
    clock.seconds += PAUSE_SECONDS
    assert writer.hand_over([label(5)])
    assert [each.at_us for each in read(tmp_path)] == [*kept, 5]
    assert writer.records == len(kept) + 1


def test_a_directory_that_cannot_be_written_loses_records_not_answers(tmp_path, clock):
    (tmp_path / "capture").write_text("in the way")
    writer = CaptureWriter(tmp_path / "capture", "w0", clock, elapsed=clock.elapsed)
    assert not writer.hand_over([label(1)])
    assert not writer.hand_over([label(2)])
    assert writer.lost_records == 2
    (tmp_path / "capture").unlink()
    clock.now -= 3_600_000_000  # somebody sets the clock: that prolongs no pause
    clock.seconds += PAUSE_SECONDS
    assert writer.hand_over([label(3)])
    assert [each.at_us for each in read(tmp_path / "capture")] == [3]


def test_what_is_pending_is_brought_to_the_disk_once(tmp_path, clock):
    writer = CaptureWriter(tmp_path, "w0", clock)
    assert writer.pending_sync() is None
    writer.hand_over([label(1)])
    sync = writer.pending_sync()
    assert sync is not None
    writer.close()
    sync()
    assert writer.pending_sync() is None


def test_a_segment_that_is_old_is_ended_also_while_nothing_comes(tmp_path, clock):
    writer = CaptureWriter(tmp_path, "w0", clock, elapsed=clock.elapsed)
    assert writer.hand_over([label(1)])
    writer.pending_sync()()
    clock.seconds += SEGMENT_SECONDS - 1
    assert writer.pending_sync() is None
    assert lockable(tmp_path) == [False]
    clock.seconds += 1
    writer.pending_sync()()
    assert lockable(tmp_path) == [True]
    assert writer.pending_sync() is None
    assert writer.hand_over([label(2)])
    assert [each.at_us for each in read(tmp_path)] == [1, 2]
    assert lockable(tmp_path) == [True, False]
    writer.close()


def lockable(directory):
    """Of each segment, whether nobody says to be writing to it."""
    found = []
    for path in sorted(directory.glob("*.seg")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(True)
            except BlockingIOError:
                found.append(False)
    return found


def test_a_disk_that_does_not_take_what_was_written_is_counted_and_gets_another_segment(tmp_path, clock, monkeypatch):
    """The kernel says it once: asked again, it answers that all is well."""
    writer = CaptureWriter(tmp_path, "w0", clock, elapsed=clock.elapsed)
    told = [OSError(errno.EIO, "Input/output error")]

    def fsync(descriptor):
        if told:
            raise told.pop()

    monkeypatch.setattr(os, "fsync", fsync)
    assert writer.hand_over([label(1)])
    writer.pending_sync()()
    assert writer.pending_sync() is None
    assert (writer.failed_syncs, writer.last_error) == (1, "fsync: Input/output error")
    assert writer.lost_records == 0
    assert writer.hand_over([label(2)])
    assert len(lockable(tmp_path)) == 1
    clock.seconds += DOUBTFUL_SECONDS
    writer.pending_sync()()
    assert writer.hand_over([label(3)])
    assert lockable(tmp_path) == [True, False]
    clock.seconds += DOUBTFUL_SECONDS
    writer.pending_sync()()
    assert lockable(tmp_path) == [True, False]
    writer.close()
    assert writer.failed_syncs == 1
    assert [each.at_us for each in read(tmp_path)] == [1, 2, 3]


def test_what_the_disk_says_at_the_end_is_counted_too(tmp_path, clock, monkeypatch):
    writer = CaptureWriter(tmp_path, "w0", clock)

    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    assert writer.hand_over([label(1)])
    writer.close()
    assert writer.failed_syncs == 1
    assert lockable(tmp_path) == [True]


def test_on_a_simulated_clock_no_time_passes_while_a_model_answers(tmp_path, clock):
    answered = PredictionBatch(
        at_us=7, model="m", unit="u1", role="champion", revision=1, ids=["a"], keys=["a"], columns={"x": [1.0]}, scores=[[0.5]], latency_us=12_345
    )  # fmt: skip
    writer = TimelessWriter(tmp_path, "w0", clock)
    assert writer.hand_over([answered, label(8)])
    writer.close()
    assert read(tmp_path) == [msgspec.structs.replace(answered, latency_us=TIMELESS_US), label(8)]
    assert answered.latency_us == 12_345, "what the client is told stays as it was measured"
