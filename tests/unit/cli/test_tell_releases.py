"""What `release status` draws of a guard."""

from datetime import UTC, datetime

import pytest

from flyball.cli.tell_releases import _picture
from flyball.control.reports import GuardPoint, GuardRow

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
