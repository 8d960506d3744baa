"""`flyball doctor` tells what trainings have left on the disk."""

from pathlib import Path

from flyball.adapters import doctor


def test_what_trainings_left_is_told_and_is_no_fault(tmp_path: Path) -> None:
    for name, size in (
        ("snapshots/shop", 1_600_000_000),
        ("cache/validate-1", 300_000_000),
        ("replays/cache/train-1", 700_000_000),
    ):
        (tmp_path / name).mkdir(parents=True)
        with (tmp_path / name / "rows").open("wb") as file:
            file.truncate(size)
    found = doctor.stored(tmp_path)
    assert found.ok is True
    assert found.words.startswith("snapshots 1.6 GB, ")
    assert "cache 0.3 GB" in found.words
    assert "replays 0.7 GB" in found.words
    assert "snapshots 0.0 GB" in doctor.stored(tmp_path / "nothing").words
