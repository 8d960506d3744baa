"""`flyball doctor` tells what captured requests cost, and what bounds it, before they fill the memory."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flyball.adapters import doctor
from flyball.control.capture_told import LabelsTold


@pytest.mark.parametrize(
    ("predictions", "keep", "said", "unsaid"),
    [
        (4_000_000, None, "4,000,000 predictions are held; 2 segments of 0.0 GB", "capture.keep"),
        (
            20_000_000,
            None,
            "about 6.0 GB for them, and 500 s to start: capture.keep in flyball.yaml would bound it",
            "capture.keep is",
        ),
        (20_000_000, timedelta(days=30), "capture.keep is 30d", "would bound"),
    ],
)
def test_what_is_held_is_told_and_many_are_no_fault(
    tmp_path: Path, predictions: int, keep: timedelta | None, said: str, unsaid: str
) -> None:
    (tmp_path / "capture").mkdir()
    for number in (1, 2):
        (tmp_path / "capture" / f"0-1-{number:06d}.seg").write_bytes(b"x" * 10)
    found = doctor.captured(predictions, tmp_path, keep)
    assert found.ok is True
    damaged = doctor.captured(predictions, tmp_path, keep, "capture/ is damaged in 1 place")
    assert (damaged.ok, damaged.words) == (False, f"capture/ is damaged in 1 place. {found.words}")
    assert said in found.words
    assert unsaid not in found.words


@pytest.mark.parametrize(("received", "unknown", "fault"), [(500, 400, True), (500, 100, False), (10, 10, False)])
def test_labels_are_a_fault_where_most_of_the_last_join_nothing(received: int, unknown: int, fault: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = LabelsTold(at=now, received=9_000, unknown=700, future=0, invalid=2, received_lately=received, unknown_lately=unknown)
    (found,) = doctor.labels([told])
    words = "9,000 received, 700 for ids that nobody predicted, 2 that are no label of this model"
    assert (found.ok, found.words) == (not fault, f"{words}; of the last {received} {unknown} join nothing")
    assert doctor.labels([]) == doctor.labels([msgspec.structs.replace(told, unknown=3, unknown_lately=3)]) == ()
