"""The schedule of a replay: nothing lost, nothing early, as untidy as asked for."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from flyball.control.replay import Columns, History, plan_history
from flyball.control.replay_schedule import MOST_ROWS, schedule_labels, schedule_requests
from flyball.errors import DataError
from flyball.spec import ReplaySpec

START = datetime(2013, 3, 1, 5, tzinfo=UTC)
N = 5_000


def replay(**changes: object) -> ReplaySpec:
    return ReplaySpec.model_validate({"train_until": START, "duplicate_labels": 0.02, "late_labels": 0.05, **changes})


def moments(minutes: list[float] | np.ndarray) -> pl.Series:
    return pl.Series("t", [START + timedelta(minutes=float(m)) for m in minutes], dtype=pl.Datetime("us", "UTC"))


@pytest.fixture
def label_times() -> pl.Series:
    return moments(np.random.default_rng(1).uniform(0, 60 * 24 * 20, N))


def test_every_label_is_sent_once_and_two_in_a_hundred_once_more(label_times: pl.Series) -> None:
    sent = schedule_labels(label_times, replay(), np.random.default_rng(0))
    assert np.array_equal(np.sort(sent.row[~sent.again]), np.arange(N))
    assert sent.again.sum() == 100
    assert len(set(sent.row[sent.again])) == 100


def test_a_second_label_comes_after_the_first(label_times: pl.Series) -> None:
    sent = schedule_labels(label_times, replay(), np.random.default_rng(0))
    first = dict(zip(sent.row[~sent.again], sent.send_us[~sent.again], strict=True))
    assert all(sent.send_us[i] > first[sent.row[i]] for i in np.flatnonzero(sent.again))


def test_no_label_is_sent_before_it_was_known_and_none_later_than_allowed(label_times: pl.Series) -> None:
    sent = schedule_labels(label_times, replay(), np.random.default_rng(0))
    delay = (sent.send_us - sent.observed_us)[~sent.again]
    assert (delay >= 0).all()
    assert (delay > 0).sum() == 250
    assert delay.max() <= timedelta(days=3) / timedelta(microseconds=1)
    assert delay.max() > timedelta(days=2.5) / timedelta(microseconds=1)


def test_the_time_observed_is_the_true_one_however_late_it_is_sent(label_times: pl.Series) -> None:
    sent = schedule_labels(label_times, replay(), np.random.default_rng(0))
    assert np.array_equal(sent.observed_us, label_times.dt.epoch("us").to_numpy()[sent.row])


def test_sending_times_never_fall_and_outcomes_come_out_of_order(label_times: pl.Series) -> None:
    sent = schedule_labels(label_times, replay(), np.random.default_rng(0))
    assert (np.diff(sent.send_us) >= 0).all()
    assert (np.diff(sent.observed_us) < 0).any()


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another(label_times: pl.Series) -> None:
    one, same, other = (schedule_labels(label_times, replay(), np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.row, other.row)


def test_an_outcome_that_never_became_known_is_never_sent() -> None:
    times = pl.Series("t", [START, None, START + timedelta(hours=1)], dtype=pl.Datetime("us", "UTC"))
    sent = schedule_labels(times, replay(late_labels=0.0, duplicate_labels=0.0), np.random.default_rng(0))
    assert sent.row.tolist() == [0, 2]


def test_nothing_to_send_is_no_fault() -> None:
    empty = moments([])
    assert schedule_labels(empty, replay(), np.random.default_rng(0)).row.size == 0
    assert schedule_requests(empty).start.size == 0


def test_rows_of_an_hour_share_a_request_sent_at_the_earliest_of_them() -> None:
    requests = schedule_requests(moments([5, 5, 40, 59.9, 60, 61, 180]))
    assert requests.start.tolist() == [0, 4, 6]
    assert requests.stop.tolist() == [4, 6, 7]
    minute = (requests.at_us - int(START.timestamp() * 1e6)) / 60e6
    assert minute.tolist() == [5, 60, 180]


def test_an_hour_of_many_rows_is_several_requests_of_one_event_time() -> None:
    requests = schedule_requests(moments([5, 6, 7, 8, 9, 61, 62, 120]), most=2)
    assert requests.start.tolist() == [0, 2, 4, 5, 7]
    assert requests.stop.tolist() == [2, 4, 5, 7, 8]
    minute = (requests.at_us - int(START.timestamp() * 1e6)) / 60e6
    assert minute.tolist() == [5, 5, 5, 61, 120]
    whole = schedule_requests(moments([5.0] * MOST_ROWS))
    assert (whole.start.tolist(), whole.stop.tolist()) == ([0], [MOST_ROWS]), "what fits is what it was"
    assert schedule_requests(moments([5.0] * (MOST_ROWS + 1))).stop.tolist() == [MOST_ROWS, MOST_ROWS + 1]


def test_a_row_whose_outcome_is_null_sends_none_though_a_time_for_it_is_known() -> None:
    history = planned(y=["yes", None, "no"])
    assert history.labels.row.tolist() == [0, 2]
    assert (history.requests.stop.tolist(), history.never) == ([3], 0), "it is asked all the same"


def test_a_label_that_is_said_to_come_at_the_end_of_time_never_comes() -> None:
    known = [START + timedelta(hours=1), datetime(9999, 12, 31, tzinfo=UTC), START + timedelta(days=36_000)]
    history = planned(known=pl.Series(known, dtype=pl.Datetime("us", "UTC")))
    assert (history.labels.row.tolist(), history.never) == ([0, 2], 1)


@pytest.mark.parametrize(
    ("keys", "words"), [(["a", "b", "a"], "the key 'id' repeats: 1 keys stand in 2 rows"), (["a", None, "b"], "the key 'id' is null in 1 rows")]
)  # fmt: skip
def test_rows_that_cannot_be_told_apart_are_refused_as_a_training_refuses_them(keys: list[str | None], words: str) -> None:
    with pytest.raises(DataError, match=words):
        planned(id=keys)


def planned(**columns: object) -> History:
    """Three rows, some columns of which are others."""
    frame = pl.DataFrame(
        {"at": moments([0, 1, 2]), "id": ["a", "b", "c"], "known": moments([60, 61, 62]), "y": ["yes", "no", "no"], **columns}
    )
    return plan_history(frame, Columns("at", "id", "y", "known", ()), replay(late_labels=0.0, duplicate_labels=0.0))


def test_rows_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="rising order"):
        schedule_requests(moments([60, 5]))


@pytest.mark.parametrize("text", ["2013-03-01T05:00:00Z", "2013-03-01T00:00:00-05:00"])
def test_a_moment_is_read_with_its_zone(text: str) -> None:
    assert ReplaySpec.model_validate({"train_until": text}).train_until == START


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train_until": "2013-03-01T05:00:00"}, "with its zone"),
        ({"until": START}, "until after"),
        ({"since": START - timedelta(days=1)}, "since not before train_until"),
        ({"timezone": "New York"}, "time zone such as"),
        ({"late_labels": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        replay(**changes)


def test_a_replay_survives_json() -> None:
    one = replay(until=START + timedelta(days=9), timezone="America/New_York")
    assert ReplaySpec.model_validate_json(one.model_dump_json()) == one
