"""What `flyball doctor` tries on the disk leaves it as it was."""

from pathlib import Path

from flyball.adapters import doctor


def test_a_link_that_came_with_a_project_leads_to_nothing_that_is_emptied(tmp_path: Path) -> None:
    kept, project = tmp_path / "kept", tmp_path / "project"
    kept.write_text("mine")
    project.mkdir()
    (project / ".flyball-doctor").symlink_to(kept)
    checks = {check.name: check for check in doctor.machine(project / ".flyball")}
    assert checks["writable"].ok is True
    assert kept.read_text() == "mine"
    assert [path.name for path in project.iterdir()] == [".flyball-doctor"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    (writable,) = [check for check in doctor.machine(tmp_path / "file") if check.name == "writable"]
    assert writable.ok is False
    assert "Not a directory" in writable.words
