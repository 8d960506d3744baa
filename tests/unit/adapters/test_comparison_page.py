"""The page of a comparison: complete without scripts, safe with any text in it, with a picture that holds the figures."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from made_up import made_up
from paper_workspace import NASTY

from flyball.adapters.report_page import refuse_unwritable, render_comparison, write_comparison
from flyball.adapters.report_page.comparison import draw
from flyball.control.replay_comparison import ComparisonReport, FailedPolicy, Prices, Side, compare
from flyball.errors import UserError
from flyball.records import codec


@pytest.fixture(scope="module")
def report() -> ComparisonReport:
    made = made_up()
    worse = msgspec.structs.replace(made, months=tuple(msgspec.structs.replace(m, governed=m.alone) for m in made.months))
    return compare([Side("current", NASTY, made), Side("never", "no policies", worse)], Prices(1.0, 0.05), 2.0)


def test_it_runs_nothing_and_shows_text_from_anywhere_as_text(report: ComparisonReport) -> None:
    page = render_comparison(report, {"current": "report-current.html"})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r'href="([^"]*)"', page) == ["data:,", "report-current.html"]
    assert "script-src" not in page
    assert "default-src 'none'" in page


def test_every_month_of_every_policy_stands_in_the_picture_and_in_the_table(report: ComparisonReport) -> None:
    picture, page = draw(report), render_comparison(report, {})
    months = [month for line in report.policies for month in line.months if month.value is not None]
    assert sum(len(piece) for curve in picture.curves for piece in curve.pieces) == len(months) == page.count("<circle")
    assert all(f"{month.value:.4f}" in page for month in months)
    points = [point for curve in picture.curves for piece in curve.pieces for point in piece]
    assert all(0 <= point.x <= picture.width and 0 <= point.y <= picture.height for point in points)


def test_a_higher_value_lies_higher(report: ComparisonReport) -> None:
    line, curve = report.policies[0], draw(report).curves[0]
    by_height = sorted((point.y, -float(point.words.rpartition(" ")[2])) for piece in curve.pieces for point in piece)
    assert by_height == sorted(by_height, key=lambda pair: pair[1])
    assert len(by_height) == sum(month.value is not None for month in line.months)


def test_who_did_not_come_to_its_end_is_named(report: ComparisonReport) -> None:
    page = render_comparison(msgspec.structs.replace(report, failed=(FailedPolicy(name="monthly", words=NASTY),)), {})
    assert "<strong>monthly</strong> is not compared: its replay did not come to its end" in page
    assert "<script" not in page


def test_who_did_not_answer_all_rows_is_said_not_to_be_ranked(report: ComparisonReport) -> None:
    assert "is not ranked" not in render_comparison(report, {})
    made = made_up()
    refused = msgspec.structs.replace(made, months=made.months[:4])
    page = render_comparison(compare([Side("stops", "stops.yaml", refused), Side("never", "no policies", made)], None, 2.0), {})
    rows = [sum(month.n for month in months) for months in (made.months[:4], made.months)]
    assert f"<strong>stops</strong> is not ranked: it answered {rows[0]:,} of the {rows[1]:,} rows that another did" in page
    assert "in brackets: it answered fewer than 99 %" in page
    assert page.count("(–)") == len(made.months) - 4
    assert "<strong>never</strong> made the fewest errors" in page or "Nothing could be compared" in page


def test_one_month_and_one_value_are_drawn_too(report: ComparisonReport) -> None:
    line = msgspec.structs.replace(report.policies[0], months=report.policies[0].months[:1])
    alone = msgspec.structs.replace(report, policies=(line,), best="")
    assert render_comparison(alone, {}).count("<circle") == 1
    empty = msgspec.structs.replace(report, policies=(msgspec.structs.replace(line, months=()),))
    assert render_comparison(empty, {}).count("<circle") == 0


def test_each_policy_has_a_page_of_its_own_beside_the_comparison(report: ComparisonReport, tmp_path: Path) -> None:
    write_comparison(report, {"current": made_up(), "never": made_up()}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report-current.html",
        "report-never.html",
        "report.html",
        "report.json",
    ]
    assert codec.decode((tmp_path / "report.json").read_bytes(), ComparisonReport) == report


def test_where_reports_cannot_be_written_is_said_before_they_are_made(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "new" / "reports")
    assert [*(tmp_path / "new" / "reports").iterdir()] == []
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/xx")):
        with pytest.raises(UserError, match=r"reports cannot be written to .*say another with --output") as told:
            refuse_unwritable(place)
        assert "mend the disk" not in told.value.message


def test_figures_of_who_refused_rows_stand_in_brackets_with_the_months_that_they_are_of() -> None:
    made = made_up()
    wrong = tuple(
        msgspec.structs.replace(month, governed=msgspec.structs.replace(month.governed, errors=80.0 + at))
        for at, month in enumerate(made.months)
    )
    made = msgspec.structs.replace(made, months=wrong)
    refused = msgspec.structs.replace(made, months=wrong[:4], failed_requests=287, stopped_at="2013-07-02T09:00:00+00:00")
    sides = [Side("stops", "stops.yaml", refused), Side("never", "no policies", made), Side("current", "as it is", made)]
    report = compare(sides, Prices(1.0, 0.1), 2.0)
    page = render_comparison(report, {})
    (row,) = re.findall(r'<th scope="row">stops</th>.*?</tr>', page, re.DOTALL)
    cells = re.findall(r'<td class="n[^"]*">(.*?)</td>', row)
    assert cells[1] == "287"
    assert all(re.match(r"\([\d.,]+\)", cells[at]) for at in (2, 3, 6, 7, 8))
    assert cells[7].endswith(f" of 4 of {len(wrong)} months")
    assert "It had the model stopped on 2 Jul 2013, which refused what it was asked since" in page
    assert f"never is {report.margin.words}" in page
    assert "not shown to differ from current: 0 of cost a month less" in page


def test_a_policy_that_only_waited_or_whose_breaker_was_open_is_told_under_the_table() -> None:
    made = made_up()
    asked = msgspec.structs.replace(made, questions=("d-000007 of 2013-03-04 05:00: ask retrain model:m",), breaker="")
    shut = msgspec.structs.replace(
        made, questions=(), breaker="3 actions failed in a row", breaker_since="2013-04-04T09:00:00+00:00"
    )
    page = render_comparison(compare([Side("asks", "a.yaml", asked), Side("acts", "b.yaml", shut)], None, 2.0), {})
    assert (
        "<strong>asks</strong> only waited at its end, and nobody answered: d-000007 of 2013-03-04 05:00: ask retrain model:m."
        in page
    )
    assert "<strong>acts</strong>: its breaker was open since 2013-04-04: 3 actions failed in a row." in page
