"""What a person sees of labels: how many are here and when they will be, what was completed or corrected, and what they leave unwatched."""

import io
from pathlib import Path

from engine_world import AT_ONCE, DAY, Project, spec_of
from rich.console import Console
from test_engine_labels import LEARNED, MONITOR, labelled_where, slow

from flyball.cli.tell_status import status_report
from flyball.control import queries
from flyball.control.reports import StatusReport
from flyball.web import pages


def seen(project: Project) -> tuple[StatusReport, str, str]:
    report = queries.status(project.door, controller_alive=True)
    console = Console(file=io.StringIO(), width=400)
    console.print(status_report(report, plain=True))
    return report, console.file.getvalue(), pages.overview(report, (), (), ())


def test_a_window_that_waits_shows_its_completed_metrics_and_when_it_will_be_mature(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR, data=LEARNED))
    project.version()
    slow(project, 14)
    report, printed, page = seen(project)
    assert any(window.live.get("brier") and window.live["brier"].value is not None for window in report.windows)
    for text in (printed, page):
        assert "] completed" in text
        assert "are here" in text
        assert "mature by 2026-" in text
        assert "of the labels that come within" in text


def test_a_window_without_labels_says_when_it_is_mature(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, data={**LEARNED, "label_delay": "7d"}))
    project.version()
    project.unlabelled = True
    project.live(3 * 24 * project.label_delay)
    _, printed, page = seen(project)
    for text in (printed, page):
        assert "0 of 240 are here; mature at 2026-" in text
        assert "after the declared delay" in text


def test_corrected_metrics_say_so_and_that_labels_are_not_held_against_answers(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    labelled_where(project, lambda x: 0.9 if x > 0 else 0.5, 4)
    report, printed, page = seen(project)
    assert report.unjudged.startswith("whether labels follow the answers, and slices, window until 2026-")
    for text in (printed, page):
        assert "] corrected" in text
        assert "labels hang on the score" in text
        assert "weighted by the inverse share" in text


def test_a_loss_that_no_label_tells_is_said_not_to_be_monitored(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    assert seen(project)[0].unjudged == ""
    labelled_where(project, lambda x: 0.5 if x <= 0 else 0.95 if x < 1 else 0.05, 4)
    report, printed, page = seen(project)
    assert report.unjudged.startswith("the loss, window until 2026-")
    assert "labels hang on feature x" in report.unjudged
    assert "not monitored" in printed
    assert "Not monitored: the loss, window until" in page
    project.unlabelled = True
    project.live(9 * DAY)
    later = seen(project)[0]
    assert not any(window.mature for window in later.windows)
    assert "labels hang on feature x" in later.unjudged  # labels may take longer than all windows that are shown
