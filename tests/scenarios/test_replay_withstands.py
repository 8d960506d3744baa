"""What goes wrong while a history is lived through, and what is untidy in it: nothing of it is in the figures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from engine_models import START
from engine_world import DAY, HOUR
from replayed_life import AGED, Lived

from flyball.control.replay_position import Stage
from flyball.control.world import micros
from flyball.errors import GatewayUnreachable, ModelFailed, StoreUnavailable


def test_one_that_was_lived_and_not_told_is_told_as_if_nothing_had_happened(tmp_path: Path) -> None:
    lived = Lived(tmp_path, policies=[AGED]).live()
    told = lived.report()
    assert (told.labels_joined, sum(month.n for month in told.months)) == (4 * 48, 4 * 48)
    lived.project.scorer.trouble = "killed"
    with pytest.raises(ModelFailed):
        lived.report()
    lived.project.scorer.trouble = ""
    lived.again()
    assert lived.report() == told


@pytest.mark.parametrize("hour", [START + DAY + 5 * HOUR, START + 4 * DAY + 2 * HOUR], ids=["requests", "labels alone"])
@pytest.mark.parametrize(("fault", "error"), [("away", GatewayUnreachable), ("loses", StoreUnavailable)])
def test_an_hour_of_which_something_is_missing_is_sent_again(
    tmp_path: Path, fault: str, error: type[Exception], hour: datetime
) -> None:
    wanted = Lived(tmp_path / "whole", policies=[AGED], label_after=5 * HOUR).live().report()
    lived = Lived(tmp_path / "broken", policies=[AGED], label_after=5 * HOUR)
    setattr(lived.traffic, fault, lambda now: now == hour)
    with pytest.raises(error):
        lived.live()
    position = lived.journal.positions[-1]
    assert (position.stage, position.at) == (Stage.SENDING, hour)
    setattr(lived.traffic, fault, lambda _now: False)
    lived.again()
    assert lived.report() == wanted


def test_a_row_that_the_model_does_not_take_takes_no_other_with_it(tmp_path: Path) -> None:
    lived = Lived(tmp_path, days=1)
    lived.change(x=pl.when(pl.int_range(pl.len()) % 8 == 0).then(None).otherwise(pl.col("x")))
    told = lived.live().report()
    assert (told.rows_refused, told.predictions, told.failed_requests, told.labels_joined) == (6, 42, 0, 42)
    assert [words for _, words in lived.project.said if "does not take" in words] == [
        "The first rows that the model does not take: rows[0].x: null"
    ]


def test_a_day_of_nothing_but_such_rows_is_no_gateway_that_fails(tmp_path: Path) -> None:
    lived = Lived(tmp_path, days=1)
    lived.change(x=pl.lit(None, dtype=pl.Float64))
    lived.live()
    assert (lived.replay.sent.requests, lived.replay.sent.refused_rows, lived.replay.sent.failed_requests) == (24, 48, 0)


def test_a_label_of_another_century_is_not_waited_for_hour_by_hour(tmp_path: Path) -> None:
    lived = Lived(tmp_path, days=2)
    labels = lived.history.labels
    late = np.append(labels.send_us[:-1], micros(datetime(2099, 12, 31, 23, 30, tzinfo=UTC)))
    lived.history = lived.history._replace(labels=labels._replace(send_us=late))
    told = lived.live().report()
    assert lived.project.clock.now() == datetime(2100, 1, 1, tzinfo=UTC)
    assert len(lived.journal.positions) < 4 * 48
    assert told.labels_joined == 2 * 48
    assert [now for now, _ in lived.days] == [*(START + day * DAY for day in (1, 2, 3)), lived.project.clock.now()]
    assert lived.days[-2][1].labels == 2 * 48 - 1, "the day of the labels before is told by itself"


def test_months_weeks_and_days_are_those_of_the_rows_and_not_of_their_requests(tmp_path: Path) -> None:
    """In Kolkata a day begins in the middle of an hour of UTC, whose rows are asked together."""
    told = Lived(tmp_path, days=2, timezone="Asia/Kolkata").live().report()
    first = timedelta(hours=18, minutes=30) // timedelta(minutes=30)
    assert [(day.start, day.n) for day in told.days] == [("2026-01-05", first), ("2026-01-06", 48), ("2026-01-07", 48 - first)]
