"""What is printed of policies side by side."""

import io
import sys
from pathlib import Path

import msgspec
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "control"))
from test_replay_comparison import NEVER, OTHER, STOPPED

from flyball.cli import tell_comparison
from flyball.control.replay_comparison import Prices, Side, compare


def told(*sides: Side) -> str:
    out = Console(file=io.StringIO(), width=240)
    out.print(tell_comparison.comparison_report(compare(sides, Prices(1.0, 0.05), 3.0), plain=True))
    return out.file.getvalue()


def test_who_stopped_the_model_looks_no_better_for_the_errors_that_it_did_not_make() -> None:
    report = msgspec.structs.replace(STOPPED.report, failed_requests=287, stopped_at="2013-04-04T09:00:00+00:00")
    words = told(STOPPED._replace(report=report), NEVER, OTHER)
    lines = words.splitlines()
    (mean,) = (line for line in lines if line.startswith("mean"))
    assert mean.split()[1].startswith("(")
    (stopped,) = (line for line in lines if line.startswith("stopped "))
    assert "(11)" in stopped
    assert "(0) of 1 of 3 months" in stopped
    (never,) = (line for line in lines if line.startswith("never "))
    assert "(" not in never
    assert "287 of stopped, which had the model stopped on 2013-04-04: it refused what it was asked since" in words


def test_the_best_is_said_to_be_shown_so_or_not() -> None:
    assert "not shown to differ from never: 3 months in which both answered as much" in told(NEVER, OTHER)


def test_a_policy_that_only_waited_or_whose_breaker_was_open_is_told_as_that() -> None:
    asked = msgspec.structs.replace(OTHER.report, questions=("d-000007 of 2013-03-04 05:00: ask retrain model:m",))
    shut = msgspec.structs.replace(STOPPED.report, breaker="3 actions failed in a row", breaker_since="2013-04-04T09:00:00+00:00")
    words = told(OTHER._replace(report=asked), STOPPED._replace(report=shut), NEVER)
    assert "other: d-000007 of 2013-03-04 05:00: ask retrain model:m, and nobody answered" in words
    assert "stopped did nothing more since 2013-04-04: 3 actions failed in a row" in words
    assert "nobody answered" not in told(OTHER, NEVER)


def test_what_the_marks_mean_is_said_in_a_pipe_too() -> None:
    words = told(NEVER, OTHER)
    assert "* " in words
    assert words.splitlines().count(tell_comparison.LEGEND) == 1


def test_an_area_of_answers_of_several_units_is_said_to_be_that_and_a_threshold_shows() -> None:
    assert "by unit" not in told(NEVER, OTHER)
    months = tuple(
        msgspec.structs.replace(month, answered_by={"v1": 60, "v1 (threshold 0.88)": 40}) for month in OTHER.report.months
    )
    figures = msgspec.structs.replace(OTHER.report.governed, mean_monthly_by_unit=0.71, mean_monthly_accuracy=0.83)
    mended = msgspec.structs.replace(OTHER.report, months=months, governed=figures, rethresholded=True)
    lines = told(NEVER, OTHER._replace(report=mended)).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("by unit", "accuracy"))] == ["0.71", "0.83"]
    assert any(line.startswith("roc_auc ") and "and regret: of all answers of a month in one order" in line for line in lines)
