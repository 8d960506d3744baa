"""`flyball doctor` tells what captured requests cost, and what bounds it, before they fill the memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from flyball.adapters import doctor


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
    assert said in found.words
    assert unsaid not in found.words
