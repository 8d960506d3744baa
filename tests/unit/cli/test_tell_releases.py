"""What `release status` draws of a guard."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from flyball.cli.tell_releases import _picture, release_rows
from flyball.control.reports import GuardPoint, GuardRow, ReleaseRow
from flyball.records.release import Phase, ReleaseState
from flyball.web import pages

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wide", "apart", "legend"),
    [
        (0.02, True, "┊ 0: as the champion, │ margin 0.01"),
        (2.0, False, "│ margin 0.01, and 0: as the champion"),
    ],
)
def test_the_legend_names_what_is_drawn(wide: float, apart: bool, legend: str) -> None:
    point = GuardPoint(at=NOW, n=740, value=wide / 2, lower=-wide, upper=wide)
    guard = GuardRow(
        name="loss", means="", margin=0.01, alpha=0.05, must="pass", outcome="inconclusive", evidence=None, words="", points=(point,)
    )  # fmt: skip
    *drawn, _, told = _picture(guard)
    assert told.strip() == legend
    assert any("┊" in line for line in drawn) is apart


def test_units_of_one_version_are_told_apart_in_the_list_of_releases() -> None:
    release = ReleaseState(
        id="r-0002", model="m", challenger="ub", champion="ua", phase=Phase.SHADOW, step=0, opened_at=NOW, entered_at=NOW, verified_at=None, reason=""
    )  # fmt: skip
    row = ReleaseRow(release=release, version=1, champion_version=1, name="v1 (map of 2024-02-05)", champion_name="v1")
    out = Console(file=io.StringIO(), width=200)
    out.print(release_rows((row,), plain=True))
    assert "v1 (map of 2024-02-05)  v1 " in out.file.getvalue()  # type: ignore[attr-defined]
    assert "<td>v1 (map of 2024-02-05)</td><td>v1</td>" in pages.releases((row,))
