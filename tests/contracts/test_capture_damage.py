"""What a damaged frame costs: the same, whether the reader was there when the frames behind it were written or came afterwards."""

from pathlib import Path

import msgspec
import pytest

from flyball.adapters.capture_files import CaptureFiles
from flyball.capture.framing import MAGIC, frame, unframe
from flyball.records.captured import LabelBatch

COUNT = 8


def framed(number: int) -> bytes:
    return frame(
        msgspec.msgpack.encode(LabelBatch(at_us=number, model="m", ids=[f"p{number}"], values=["1"], observed_us=[None]))
    )


def segment(directory: Path, bad: tuple[int, ...]) -> tuple[Path, bytes, list[int]]:
    """(its path, its bytes, where each frame begins, and the last one ends): frames `bad` have a wrong checksum."""
    frames = [framed(number) for number in range(COUNT)]
    places = [len(MAGIC) + sum(map(len, frames[:number])) for number in range(COUNT + 1)]
    data = bytearray(MAGIC + b"".join(frames))
    for number in bad:
        data[places[number] + 12] ^= 1
    (directory / "capture").mkdir(exist_ok=True)
    return directory / "capture" / "0-1-000001.seg", bytes(data), places


@pytest.mark.parametrize("bad", [(1,), (1, 2), (0, 3, 4, 5), (6, 7)])
def test_wherever_the_file_ended_at_the_first_look_damage_costs_what_it_costs_after_a_restart(
    tmp_path: Path, bad: tuple[int, ...]
) -> None:
    path, data, places = segment(tmp_path, bad)
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        reader = CaptureFiles(tmp_path)
        first = reader.read({})
        path.write_bytes(data)
        second, late = reader.read(first.cursor), CaptureFiles(tmp_path)
        after = late.read({})
        assert [one.at_us for one in first.records + second.records] == [n for n in range(COUNT) if n not in bad]
        assert after.records == first.records + second.records
        assert after.cursor == second.cursor == {path.name: len(data)}
        for told in (first.damaged + second.damaged, after.damaged):
            assert {at for each in told for at in range(each.offset, each.offset + each.bytes)} == {
                at for number in bad for at in range(places[number], places[number + 1])
            }


def test_a_damaged_frame_before_a_torn_one_is_told_once_its_worker_has_gone_on(tmp_path: Path) -> None:
    path, data, places = segment(tmp_path, (1,))
    path.write_bytes(data[: places[2] + 20])
    reader = CaptureFiles(tmp_path)
    found = reader.read({})
    assert (found.cursor, found.damaged) == ({path.name: places[1]}, ())
    path.with_name("0-1-000002.seg").write_bytes(MAGIC + framed(9))
    assert [each.offset for each in reader.torn(found.cursor)] == [places[1]]
    found = reader.read(found.cursor)
    assert [one.at_us for one in found.records] == [9]
    assert [(each.offset, each.bytes) for each in found.damaged] == [(places[1], places[2] + 20 - places[1])]
    assert reader.torn(found.cursor) == ()


def test_frames_that_are_no_records_are_one_place_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, data, places = segment(tmp_path, (3,))
    strange = frame(b"\xc1 not msgpack") * 2000
    path.write_bytes(data[: places[3]] + strange + data[places[3] :])
    looked = []
    monkeypatch.setattr("flyball.adapters.capture_files.unframe", lambda data: looked.append(len(data)) or unframe(data))
    found = CaptureFiles(tmp_path).read({})
    assert [one.at_us for one in found.records] == [0, 1, 2, 4, 5, 6, 7]
    assert [(each.offset, each.bytes) for each in found.damaged] == [(places[3], len(strange) + places[4] - places[3])]
    assert sum(looked) < 2 * path.stat().st_size
