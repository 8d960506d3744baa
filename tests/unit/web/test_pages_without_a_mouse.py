"""What a page says stands in its text: attributes and titles, and what is inside a picture, reach nobody without a mouse."""

from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest
from paper_workspace import FINDING, NASTY, NOW, PaperWorkspace

from flyball.control.reports import GuardPoint
from flyball.records.words import harmless
from flyball.web import pages
from flyball.web.release_page import picture

WORKSPACE = PaperWorkspace()


class Text(HTMLParser):
    """Outside of pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._pictures = 0
        self.said: list[str] = []
        self.titles = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._pictures += tag == "svg"
        self.titles += "title" in dict(attrs) or (tag == "title" and self._pictures > 0)

    def handle_endtag(self, tag: str) -> None:
        self._pictures -= tag == "svg"

    def handle_data(self, data: str) -> None:
        if not self._pictures and data.strip():
            self.said.append(data.strip())


def test_why_estimates_are_void_is_said() -> None:
    text = Text(pages.overview(WORKSPACE.status(), (), (), ()))
    assert [said for said in text.said if said.endswith(f"are void: {harmless(NASTY)}")]
    assert not text.titles


def test_each_look_of_a_guard_is_in_a_table() -> None:
    report = WORKSPACE.releases.report(None)
    text = Text(pages.release(report))
    points = [point for guard in report.guards for point in guard.points if point.value is not None]
    assert points
    for point in points:
        assert f"{point.value:+.4g} [{point.lower:+.4g}, {point.upper:+.4g}] over {point.n}" in text.said
    assert not text.titles


def test_the_shares_of_a_histogram_and_the_figures_of_a_line_are_in_tables() -> None:
    report = WORKSPACE.findings.explain(str(FINDING.number))
    text = Text(pages.finding(report))
    assert report.finding.histogram is not None
    assert {f"{share:.1%}" for share in (*report.finding.histogram.reference, *report.finding.histogram.window)} <= {*text.said}
    values = [point.value for point in report.series if point.value is not None]
    assert values
    assert {f"{value:.4g}" for value in values} <= {*text.said}
    assert not text.titles


def test_the_picture_of_a_guard_says_where_the_two_are_alike_and_how_far_it_reaches() -> None:
    guard = WORKSPACE.releases.report(None).guards[0]
    for margin, near in ((0.3, 0.0007), (0.01, 0.0), (0.0, 0.001)):
        point = GuardPoint(at=NOW, n=740, value=near, lower=near - 0.01, upper=near + 0.01)
        shown = picture(msgspec.structs.replace(guard, margin=margin, points=(point,)))
        assert shown is not None
        marks = {mark.words: mark.y for mark in shown.marks}
        assert marks[f"margin {margin:g}"] == shown.margin
        assert shown.zero >= shown.margin, "worse is higher"
        (worse,), (better,) = ([mark for mark in shown.marks if mark.words.endswith(end)] for end in (", worse", ", better"))
        assert float(worse.words.split(",")[0]) > margin
        assert (float(better.words.split(",")[0]) < 0.0, better.y > shown.zero) == (True, True)
        scale = (shown.zero - worse.y) / float(worse.words.split(",")[0])
        assert shown.zero - shown.looks[0].at == pytest.approx(near * scale, abs=0.5)
        assert marks.get("0, alike", shown.margin) == shown.zero


@pytest.mark.parametrize("wide", [0.001, 0.004, 0.02, 0.07, 0.3, 2.0])
@pytest.mark.parametrize("margin", [0.01, 0.3])
def test_the_line_at_0_has_a_mark_that_touches_no_other(margin: float, wide: float) -> None:
    guard = WORKSPACE.releases.report(None).guards[0]
    point = GuardPoint(at=NOW, n=740, value=0.0, lower=-wide, upper=wide)
    shown = picture(msgspec.structs.replace(guard, margin=margin, points=(point,)))
    assert shown is not None
    (zero,) = (mark for mark in shown.marks if mark.words in ("0, alike", f"margin {margin:g}, 0"))
    assert abs(zero.y - shown.zero) < 7
    assert sum(mark.words.startswith("margin") for mark in shown.marks) == 1
    places = sorted(mark.y for mark in shown.marks)
    assert all(after - before >= 13 for before, after in pairwise(places))
