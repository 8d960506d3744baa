"""The report page: one file, complete without scripts, safe with any text in it."""

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_up import made_up

from flyball.adapters.report_page import render
from flyball.adapters.report_page.__main__ import main
from flyball.adapters.report_page.page import HERE
from flyball.control.decisions import ROOMS
from flyball.control.replay_report import AloneFigures, DriftMap, GovernedFigures, Performance, ReplayReport
from flyball.records import codec


@pytest.fixture(scope="module")
def report() -> ReplayReport:
    return made_up()


@pytest.fixture(scope="module")
def page(report: ReplayReport) -> str:
    return render(report)


class Reader(HTMLParser):
    """Text outside scripts and styles, the scripts, and every attribute that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.script: dict[str, str | None] = {}
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag in ("script", "style"):
            self.open.append(tag)
            self.script = dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open:
            self.words.append(data)
        elif self.open[-1] == "script":
            self.scripts.append((self.script, data))


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert set(Reader(page).links) == {"data:,"}
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "unsafe-eval" not in page


def test_only_the_scripts_that_it_was_written_with_may_run(page: str) -> None:
    allowed = set(re.findall(r"'(sha256-[^']+)'", page.split("script-src", 1)[1].split(";", 1)[0]))
    run = [text for attributes, text in Reader(page).scripts if attributes.get("type") != "application/json"]
    hashes = {"sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run}
    assert len(run) == 2
    assert hashes == allowed


def test_the_data_in_the_page_are_those_of_the_report(page: str, report: ReplayReport) -> None:
    (data,) = [text for attributes, text in Reader(page).scripts if attributes.get("type") == "application/json"]
    assert codec.decode(data.encode(), ReplayReport) == report


def test_the_figures_stand_in_the_text_also_without_scripts(page: str) -> None:
    text = Reader(page).text
    for words in ("0.719", "0.684", "better by 0.035", "5,844", "284,821 outcomes", "0 failed", "8 promoted · 1 rolled back"):
        assert words in text
    assert "all replayed to the same bytes" in text


def test_every_month_decision_release_and_finding_is_listed(page: str, report: ReplayReport) -> None:
    text = Reader(page).text
    assert all(month in text for month in ("Mar 2013", "Dec 2013"))
    assert all(line.id in text for line in report.decision_log)
    assert all(release.id in text for release in report.releases)
    assert text.count("warmer than anything in training") == len(report.findings)


def test_times_are_those_of_the_reports_zone(page: str) -> None:
    assert "18 Mar 2013, 10:00" in Reader(page).text  # 14:00 UTC in New York's summer time


def test_words_from_data_cannot_become_markup_or_script(report: ReplayReport) -> None:
    evil = "</script><script>alert(1)</script><!-- \u2028 <img src=http://x onerror=alert(2)>"
    line = msgspec.structs.replace(report.decision_log[0], words=evil)
    page = render(msgspec.structs.replace(report, project=evil, decision_log=(line,)))
    reader = Reader(page)
    assert len(reader.scripts) == 3
    assert set(reader.links) == {"data:,"}
    assert "alert(1)" in reader.text


def test_a_failure_is_shown_as_one(report: ReplayReport) -> None:
    text = Reader(
        render(msgspec.structs.replace(report, failed_requests=3, labels_joined=284_800, decisions_replayed_equal=40))
    ).text
    assert "✗ 3 failed" in text
    assert "21 predictions without" in text
    assert "✗ 8 came out otherwise when replayed" in text


def test_its_reader_is_sent_to_the_replays_own_ledger(report: ReplayReport) -> None:
    assert "flyball explain --replayed ID" in Reader(render(report)).text
    assert "flyball explain --replayed --policy monthly ID" in Reader(render(report, "monthly")).text


def test_every_room_that_decides_is_in_the_picture() -> None:
    shown = re.search(r"const ROOMS = \[(.*)\];", (HERE / "report.js").read_text())
    assert shown is not None
    assert set(re.findall(r'"(\w+)"', shown[1])) == set(ROOMS)


def test_what_stood_in_the_way_is_told_and_nothing_of_it_where_nothing_did(report: ReplayReport, page: str) -> None:
    assert "What stood in the way" not in page
    told = msgspec.structs.replace(
        report, breaker="<b>3</b> failures", questions=("ask retrain",), failed_ticks=("busy",), labels_refused=9, rows_refused=11
    )
    text = Reader(render(told)).text
    for words in ("The breaker is open:", "<b>3</b> failures", "ask retrain", "busy", "9 refused", "11 rows refused"):
        assert words in text


def test_governing_that_did_not_help_is_not_dressed_up(report: ReplayReport) -> None:
    worse = msgspec.structs.replace(report, governed=msgspec.structs.replace(report.governed, mean_monthly_roc_auc=0.67))
    assert "did not help: −0.014" in Reader(render(worse)).text


def test_where_lower_is_better_less_is_a_gain(report: ReplayReport) -> None:
    text = Reader(render(msgspec.structs.replace(report, metric="log_loss"))).text
    assert "better by 0.038" in text
    assert "lower is better" in text


def test_a_replay_in_which_nothing_happened_has_a_page_too(report: ReplayReport) -> None:
    empty = msgspec.structs.replace(
        report, alone=AloneFigures(mean_monthly_roc_auc=None), governed=GovernedFigures(mean_monthly_roc_auc=None, retrainings=0),
        months=(), weeks=(), days=(), releases=(), decision_log=(), findings=(), drift=DriftMap(), decisions=0, decisions_replayed_equal=0,
    )  # fmt: skip
    assert "None was made." in Reader(render(empty)).text


def test_the_page_is_drawn_again_from_report_json(report: ReplayReport, page: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(codec.encode(report))
    assert main([str(tmp_path / "report.json"), str(tmp_path / "report.html")]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert main([]) == 2


def test_another_metric_leads_and_has_no_interval_of_the_area(report: ReplayReport) -> None:
    figures = msgspec.structs.replace(report.governed, mean_monthly_brier=0.1234)
    shown = Reader(render(msgspec.structs.replace(report, metric="brier", governed=figures))).text
    assert "Mean monthly Brier score (lower is better)" in shown
    assert "0.123" in shown
    assert "interval of each point" not in shown
    assert "interval of each point" in Reader(render(report)).text
    # Of several classes the area leads as well, and has none.
    spans = {
        calendar: tuple(msgspec.structs.replace(each, governed=without(each.governed), alone=without(each.alone)) for each in getattr(report, calendar))
        for calendar in ("months", "weeks", "days")
    }  # fmt: skip
    assert (
        "interval" not in Reader(render(msgspec.structs.replace(report, task="multiclass", **spans))).text.partition("Drift")[0]
    )


def without(figures: Performance) -> Performance:
    """Their interval."""
    return msgspec.structs.replace(figures, lower=None, upper=None)


def test_of_several_units_in_a_month_each_ones_own_area_and_what_was_decided_are_told(report: ReplayReport, page: str) -> None:
    assert "by unit" not in page.split("</main>", maxsplit=1)[0].lower()
    months = tuple(msgspec.structs.replace(month, answered_by={"v1": 5, "v1 (threshold 0.88)": 9}) for month in report.months)
    governed = msgspec.structs.replace(report.governed, mean_monthly_by_unit=0.7654, mean_monthly_accuracy=0.8768)
    changed = msgspec.structs.replace(report, months=months, governed=governed, rethresholded=True)
    shown = Reader(render(changed)).text
    for words in (
        "by unit, alone",
        "0.765",
        "accuracy, alone",
        "0.877",
        "ROC AUC is of all answers of a month in one order",
        "v1 (threshold 0.88)",
    ):
        assert words in shown
