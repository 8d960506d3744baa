"""What is learned of a label delay though whoever sends the labels was away for a while, by simulation with fixed seeds."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from labelled_late import DAY, HOUR, NEVER, lived, moment
from monitored_world import POLICY

from flyball.monitoring.delays import learn, together, usual_age
from flyball.monitoring.maturity import maturity
from flyball.stats.age_grid import AgeCounts

UNDECLARED = msgspec.structs.replace(POLICY, label_delay=None)


def away(late, since_us, until_us=NEVER, *, brought=False):
    """No label comes in between; `brought`: all those come at the end of it. Else they are lost."""
    lost = (late.received_us >= since_us) & (late.received_us < until_us)
    return late._replace(received_us=np.where(lost, until_us if brought else NEVER, late.received_us))


def learned(late, now_us):
    return learn(late.counts(now_us), now_us)


def usual_days(delays):
    return usual_age(delays, 0.95) / DAY


@pytest.mark.parametrize(("days", "gap", "mean_days"), [(40, gap, 2.0) for gap in (7, 8, 9, 10, 12, 20)] + [(17, 5, 1.0)])
@pytest.mark.parametrize("trickle", [0.0, 0.01])
def test_where_labels_stop_the_delay_stays_what_it_was(days, gap, mean_days, trickle):
    """95 % are there after three times the mean: 6 days of 2."""
    rng = np.random.default_rng(1)
    late = lived(rng, days=days, a_day=300, mean_days=mean_days, ever=0.9)
    gone = away(late, (days - gap) * DAY)
    late = late._replace(received_us=np.where(rng.random(late.at_us.size) < trickle, late.received_us, gone.received_us))
    delays = learned(late, days * DAY)
    assert 2.5 * mean_days <= usual_days(delays) <= 4.6 * mean_days
    told = maturity(1440, 3, moment(0), moment(0) + timedelta(minutes=1), UNDECLARED, delays)
    assert not told.mature


@pytest.mark.parametrize("brought", [False, True])
@pytest.mark.parametrize("hours", [1, 6, 24, 48, 96, 240])
@pytest.mark.parametrize("gap", [6, 12])
def test_when_labels_come_again_the_delay_stays_what_it_was(gap, hours, brought):
    """Those of the time between are lost, or all are brought at its end."""
    now = 40 * DAY
    until = now - hours * HOUR
    late = away(lived(np.random.default_rng(2), days=40, a_day=300, ever=0.9), until - gap * DAY, until, brought=brought)
    delays = learned(late, now)
    assert 5.0 <= usual_days(delays) <= 9.1
    assert delays.ever > 0.8


def test_that_recent_labels_have_stopped_is_said():
    delays = learned(away(lived(np.random.default_rng(3), days=40, a_day=300), 30 * DAY), 40 * DAY)
    assert "of recent predictions hardly a label has come" in delays.words


@pytest.mark.parametrize(("before", "after", "days"), [(1.0, 10.0, 78), (1.0, 10.0, 90), (10.0, 1.0, 90), (1.0, 30.0, 110)])
def test_a_delay_that_has_changed_is_no_gap_though_labels_stay_away_until_then(before, after, days):
    """Each label comes after so many days, to the hour; for predictions from the 60th day on after another number. Of the 30 days no recent one has seen any."""
    rng = np.random.default_rng(4)
    late = lived(rng, days=days, a_day=150)
    wait = np.where(late.at_us < 60 * DAY, before, after) * DAY + rng.integers(0, HOUR, late.at_us.size)
    delays = learned(late._replace(received_us=late.at_us + wait.astype(np.int64)), days * DAY)
    assert usual_days(delays) == pytest.approx(after, rel=0.3)
    assert usual_age(delays, 0.5) >= DAY


def test_of_two_gaps_of_a_length_neither_is_taken_for_usual():
    late = lived(np.random.default_rng(7), days=60, a_day=150, ever=0.9)
    delays = learned(away(away(late, 20 * DAY, 28 * DAY), 52 * DAY), 60 * DAY)
    assert 5.0 <= usual_days(delays) <= 9.1
    assert delays.ever == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(("days", "batch"), [(9, 1), (60, 1), (35, 7), (60, 7), (15, 14), (35, 14), (35, 30)])
def test_the_time_between_batches_is_no_gap_nor_that_before_the_first(days, batch):
    late = lived(np.random.default_rng(5), days=days, a_day=200, mean_days=1.0, batch_us=batch * DAY)
    delays = learned(late, days * DAY)
    assert "hardly a label" not in delays.words
    assert usual_days(delays) > 0.7 * batch


def test_cohorts_that_were_added_up_have_the_same_gap():
    now = 60 * DAY + HOUR // 2
    counts = away(lived(np.random.default_rng(9), days=60, a_day=200), 30 * DAY, 40 * DAY).counts(now)
    first = np.flatnonzero(np.diff(together(counts.start_us, now), prepend=-1))
    delays = learn(AgeCounts(counts.start_us[first], *(np.add.reduceat(of, first, axis=0) for of in counts[1:])), now)
    assert "in which hardly a label came" in delays.words
    assert delays == learn(counts, now)


@pytest.mark.parametrize("days", [6, 15, 40])
def test_weekends_are_no_gap(days):
    late = lived(np.random.default_rng(8), days=days, a_day=150, mean_days=1.0)
    week, day = late.received_us // (7 * DAY), late.received_us // DAY % 7
    delays = learned(late._replace(received_us=np.where(day >= 5, (week + 1) * 7 * DAY, late.received_us)), days * DAY)
    assert "hardly a label" not in delays.words


@pytest.mark.parametrize(
    ("days", "gap", "mean_days"), [(40, 0, 1.0), (40, 4, 1.0), (40, 12, 1.0), (16, 6, 1.0), (90, 10, 1.0), (40, 2, 0.2)]
)
def test_where_every_prediction_gets_its_label_none_are_said_to_have_none(days, gap, mean_days):
    """Nobody without a label is older than the time without labels: what was known last still holds beyond."""
    rng = np.random.default_rng(6)
    late = lived(rng, days=days, a_day=150)
    received = late.at_us + (rng.uniform(0.5, 1.5, late.at_us.size) * mean_days * DAY).astype(np.int64)
    delays = learned(away(late._replace(received_us=received), (days - gap) * DAY), days * DAY)
    for curve in (delays.come.share, delays.come.lower, delays.come.upper, *delays.by_score):
        assert np.all(np.diff(curve) >= 0.0)
    assert delays.ever > 0.8
    assert delays.come.lower[-1] <= delays.ever <= delays.come.upper[-1]
