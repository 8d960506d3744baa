"""The pictures of a finding: what its figure was held against, when it began, and how much each cause has of it, with their words beside them."""

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import msgspec
import pytest
from paper_workspace import FINDING, NOW, PaperWorkspace
from test_pages_without_a_mouse import Text

from flyball.control.finding_reports import FindingReport, WindowPoint
from flyball.records.findings import Cause, FindingKind, Norm
from flyball.web import finding_page, pages

DAY = timedelta(days=1)
SERIES = tuple(WindowPoint(end=NOW + (place - 9) * DAY, value=0.15 if place < 5 else 0.19) for place in range(10))
CAUSES = (
    Cause(subject="distance", share=0.61, words="longer", interval=(0.44, 0.78)), Cause(subject="far", share=0.3, words="a slice"),
    Cause(subject="price", share=-0.11, words="cheaper", interval=(-0.26, 0.04)), Cause(subject="schema", share=None, words="price is text"),
)  # fmt: skip
WORSE = msgspec.structs.replace(
    FINDING, kind=FindingKind.PERFORMANCE, subject="loss", changed_since=NOW - 4 * DAY, changed_between=(NOW - 5 * DAY, NOW - 3 * DAY),
    norm=Norm(mean=0.15, tolerated=0.17, where="on the holdout"), causes=CAUSES,
)  # fmt: skip


def told(**changed: object) -> FindingReport:
    report = PaperWorkspace().findings.explain("3")
    return msgspec.structs.replace(report, finding=msgspec.structs.replace(WORSE, **changed), series=SERIES)


def test_the_figure_lies_beside_what_it_was_held_against_and_when_it_began() -> None:
    line = finding_page.line(told())
    assert line is not None
    assert line.band is not None
    assert line.change is not None
    heights = [float(point.partition(",")[2]) for point in line.points.split()]
    places = [float(point.partition(",")[0]) for point in line.points.split()]
    assert heights[0] == line.band.mean
    assert heights[-1] < line.band.top < line.band.mean
    assert places[4] == line.change.x
    assert places[6] == pytest.approx(line.change.x + line.change.width, abs=0.2)
    assert line.here == (places[-1], heights[-1])
    assert {mark.words for mark in line.marks} == {"0.15", "0.17", "0.19"}


def test_what_the_pictures_show_is_in_the_text_beside_them() -> None:
    text = " ".join(Text(pages.finding(told())).said)
    assert "held against 0.15 on the holdout (dashed), up to 0.17 tolerated (band)" in text
    assert "it began between 2026-02-24 12:00 UTC and 2026-02-26 12:00 UTC (shaded)" in text
    for words in ("61 % [44, 78]", "30 %", "-11 % [-26, 4]"):
        assert words in text


@pytest.mark.parametrize(
    ("changed", "shaded", "words"),
    [
        ({"changed_between": None}, True, "it began about 2026-02-25 12:00 UTC (shaded)"),
        ({"changed_between": (NOW - 90 * DAY, NOW - 50 * DAY)}, False, "UTC, beyond what is shown"),
        # the first point stands at the end of its window
        ({"changed_between": None, "changed_since": NOW - 9.5 * DAY}, True, "(shaded)"),
        ({"changed_between": (NOW - 12 * DAY, NOW - 9.5 * DAY)}, True, "(shaded)"),
        ({"changed_between": None, "changed_since": NOW - 10.5 * DAY}, False, "UTC, beyond what is shown"),
        ({"changed_between": None, "changed_since": None}, False, ""),
        ({"changed_between": (NOW - 90 * DAY, NOW + 50 * DAY)}, True, "(shaded)"),
    ],
)
def test_a_change_is_shaded_as_far_as_the_picture_reaches(changed: dict[str, object], shaded: bool, words: str) -> None:
    line = finding_page.line(told(**changed))
    assert line is not None
    assert (line.change is not None) is shaded
    if line.change is not None:
        assert line.change.x >= finding_page.LEFT
        assert 0 < line.change.width <= finding_page.RIGHT - finding_page.LEFT
    assert any(each.endswith(words) for each in line.words)
    assert words or not any("it began" in each for each in line.words)


def test_a_finding_of_an_earlier_release_has_its_line_alone() -> None:
    line = finding_page.line(told(norm=None, changed_between=None, changed_since=None))
    assert line is not None
    assert (line.band, line.change) == (None, None)
    assert line.words == ("lowest 0.15, highest 0.19",)
    assert finding_page.line(msgspec.structs.replace(told(), series=SERIES[:1])) is None


def test_each_measured_cause_has_a_bar_from_nothing_to_its_share_with_its_interval() -> None:
    bars = finding_page.bars(CAUSES)
    assert bars is not None
    longer, far, cheaper = bars.rows
    assert longer.x == far.x == bars.zero
    assert longer.width / far.width == pytest.approx(0.61 / 0.3, rel=0.01)
    assert longer.ends is not None
    assert longer.ends[0] < longer.x + longer.width < longer.ends[1] <= finding_page.BAR_RIGHT
    assert far.ends is None
    assert cheaper.x + cheaper.width == pytest.approx(bars.zero, abs=0.2)
    assert cheaper.ends is not None
    assert cheaper.ends[0] == finding_page.BAR_LEFT
    assert finding_page.bars(CAUSES[3:]) is None
    assert finding_page.bars((Cause(subject="none", share=0.0, words=""),)) is not None


def test_every_picture_is_a_whole_drawing_with_a_name() -> None:
    pictures = re.findall(r"<svg.*?</svg>", pages.finding(told(histogram=None)), re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        drawn = ET.fromstring(picture)  # noqa: S314 - the page's own
        assert drawn.get("role") == "img"
        assert drawn.get("aria-label")
        right = float(str(drawn.get("viewBox")).split()[2])
        for part in drawn.iter("rect"):
            assert float(part.get("width", "")) >= 0
            assert float(part.get("height", "")) >= 0
            assert float(part.get("x", "")) + float(part.get("width", "")) <= right
