"""What a package takes along to be watched by."""

from pathlib import Path

from projects import Told, package_in, project, request, spec

from flyball.adapters.steps import run_steps
from flyball.monitoring import norms
from flyball.records import codec


def test_windows_of_few_rows_say_what_values_that_stick_are_told_by(tmp_path: Path) -> None:
    """Four rows in six hours: no window of them says how often neighbours are equal, and with none to say it nothing ever sticks."""
    directory = project(tmp_path / "p")
    package = package_in(directory, run_steps(request(directory, spec(monitor={"window": "6h"})), Told()))
    usual = codec.decode((package / norms.FILE).read_bytes(), norms.Norms).columns
    assert set(usual) == {"hour", "wind", "carrier"}
    assert max(column.clumping for column in usual.values()) < 0.5
