"""Immature windows, completed or marked. Bias by age over whole worlds is bench/late_labels.py; here are smaller ones, with fixed seeds."""

import numpy as np
import pytest
from bench.late_labels import HOUR, bias_by_age, by_error, by_outcome, hidden, independent
from labelled_late import DAY, STRATA, Late, lived

from flyball.monitoring.delays import learn
from flyball.monitoring.live import completed

AGES = (96.0, 192.0)


def looked_at(late, day, age_days, known=None):
    """Window `day` when its end is so old; `known`: what the delay is learned from."""
    now = int((day + 1 + age_days) * DAY)
    return completed(late.between(day * DAY, (day + 1) * DAY, now), learn((known or late).counts(now), now), STRATA, now)


@pytest.mark.parametrize("world", [by_outcome, by_error])
def test_where_the_delay_hangs_on_the_outcome_the_bias_goes(world):
    for told in bias_by_age(world(1), AGES, measured=("brier",), step=6):
        assert told.marked == 0.0
        assert abs(told.bias) > 0.012
        assert abs(told.bias_completed) < 0.2 * abs(told.bias)
        assert told.error_completed < 0.6 * told.error
        assert told.covered >= 0.93


def test_where_it_hangs_on_nothing_completing_costs_little():
    for told in bias_by_age(independent(1), AGES, measured=("brier", "roc_auc"), step=6):
        assert abs(told.bias_completed) < 0.004
        assert told.error_completed < 1.2 * told.error
        assert told.covered >= 0.93


def test_where_it_hangs_on_what_nobody_captured_the_track_record_withholds_it():
    """The assumption fails, and no window shows it; those before do."""
    (told,) = bias_by_age(hidden(1), (48.0,), step=6)
    assert abs(told.bias) > 0.04
    assert told.marked == 1.0


def test_a_young_window_is_marked_with_what_is_awaited_and_when():
    late = lived(np.random.default_rng(1), mean_days=4.0, ever=0.9)
    told = looked_at(late, 50, 0.2)
    assert told.weighting is None
    assert told.chosen.size == 0
    assert "labels are here; completed from an age of about" in told.words
    assert looked_at(late, 50, 3).weighting is not None


def test_a_kind_of_label_that_cannot_have_come_yet_keeps_the_window_immature():
    late = lived(np.random.default_rng(2), mean_days=lambda _, y, __: np.where(y == 1, 20.0, 0.3))
    told = looked_at(late, 45, 1)
    assert told.weighting is None
    assert "slowest kind" in told.words


def test_labels_that_were_held_back_are_seen_and_nothing_is_completed():
    """An upload failed: half of the positives of one day are missing. Within a label, delay and outcome no longer go apart."""
    late = lived(np.random.default_rng(3), mean_days=1.0)
    held = (late.at_us // DAY == 50) & (late.labels == 1) & (np.arange(late.at_us.size) % 2 == 0)
    cut = late._replace(received_us=np.where(held, 55 * DAY, late.received_us))
    assert looked_at(late, 50, 1.5).weighting is not None
    told = looked_at(cut, 50, 1.5)
    assert told.weighting is None
    assert "otherwise than learned" in told.words


def test_a_label_of_which_no_delay_is_known_keeps_the_window_immature():
    late = lived(np.random.default_rng(4), mean_days=1.0)
    negatives = Late(*(part[late.labels == 0] for part in late))
    told = looked_at(late, 50, 2, known=negatives)
    assert told.weighting is None


def test_without_a_learned_delay_nothing_is_completed():
    late = lived(np.random.default_rng(5), days=2, a_day=20)
    rows = late.between(0, DAY, 2 * DAY)
    assert completed(rows, None, STRATA, 2 * DAY).words == "no label delay is learned yet"
    assert "too few" in completed(rows, learn(late.counts(HOUR), HOUR), STRATA, 2 * DAY).words


def test_a_label_stands_for_at_most_five_and_an_old_window_for_itself():
    late = lived(np.random.default_rng(6), mean_days=lambda _, y, __: np.where(y == 1, 4.0, 1.0))
    young = looked_at(late, 50, 3)
    assert 1.0 <= young.weighting.weights.min() < young.weighting.weights.max() <= 5.0
    old = looked_at(late, 10, 45)
    assert old.chosen.size == pytest.approx(400, abs=60)
    assert old.weighting.weights == pytest.approx(np.ones(old.chosen.size), abs=0.01)


def test_the_same_rows_in_another_order_have_the_same_weights():
    late = lived(np.random.default_rng(7), mean_days=2.0)
    now = 54 * DAY
    rows, delays = late.between(50 * DAY, 51 * DAY, now), learn(late.counts(now), now)
    order = np.random.default_rng(0).permutation(rows.at_us.size)
    one, other = (completed(part, delays, STRATA, now) for part in (rows, type(rows)(*(part[order] for part in rows))))
    assert sorted(one.weighting.weights.tolist()) == sorted(other.weighting.weights.tolist())
