from datetime import timedelta

import msgspec
import numpy as np
import pytest
from labelled_late import DAY, lived, moment
from monitored_world import POLICY, START

from flyball.monitoring.delays import learn
from flyball.monitoring.maturity import delay_of, is_mature, maturity, quiet_us

END = START + timedelta(days=1)
UNDECLARED = msgspec.structs.replace(POLICY, label_delay=None)


@pytest.mark.parametrize(
    ("predictions", "labels", "after_days", "mature"),
    [
        (100, 100, 0, True),
        (100, 99, 0, False),  # early labels are no sample of all, however many they are
        (100, 99, 2.9, False),
        (100, 94, 3, True),
        (100, 1, 3, True),
        (100, 0, 9, False),
        (0, 0, 9, False),
        (100, 100, -0.5, False),
    ],
)
def test_a_window_is_mature_with_all_labels_or_after_the_delay_and_never_without_labels(predictions, labels, after_days, mature):
    assert is_mature(predictions, labels, END, END + timedelta(days=after_days), POLICY) is mature


def test_without_a_label_delay_and_with_nothing_learned_only_the_share_counts():
    assert not is_mature(100, 94, END, END + timedelta(days=365), UNDECLARED)
    assert is_mature(100, 95, END, END, UNDECLARED)
    told = maturity(100, 94, END, END, UNDECLARED)
    assert told.by == "share"
    assert "94 of 100" in told.words


def judged(late, day, age_days, policy=UNDECLARED, now_days=60):
    """A window of the past, looked at `age_days` after its end with what is known then."""
    now = int((day + 1 + age_days) * DAY)
    rows = late.between(day * DAY, (day + 1) * DAY, now)
    delays = learn(late.counts(now), now)
    return maturity(rows.at_us.size, int(np.isfinite(rows.labels).sum()), moment((day + 1) * DAY), moment(now), policy, delays)


def test_labels_that_never_come_are_not_waited_for():
    late = lived(np.random.default_rng(1), mean_days=1.0, ever=0.6)
    young, old = judged(late, 40, 1), judged(late, 40, 8)
    assert (young.mature, old.mature) == (False, True)
    assert old.by == "learned"
    assert old.expected == pytest.approx(240, abs=30)
    assert old.come > 0.95
    assert young.come_lower < young.come < 0.8


def test_when_it_will_be_mature_is_told_and_true():
    late = lived(np.random.default_rng(2), mean_days=1.0, ever=0.6)
    young = judged(late, 40, 1)
    assert young.ripe_at is not None
    ripe_days = (young.ripe_at - moment(41 * DAY)) / timedelta(days=1)
    assert 3.0 <= ripe_days <= 6.0  # exponential: 95 % after 3.0 days, with its interval
    assert judged(late, 40, ripe_days + 0.5).mature


def test_the_slowest_kind_of_label_decides():
    late = lived(np.random.default_rng(3), mean_days=lambda _, y, __: np.where(y == 1, 6.0, 0.5))
    told = judged(late, 35, 5)
    assert not told.mature
    assert told.come < 0.75  # of all labels 86 % are here


def test_a_window_whose_labels_stay_away_is_not_called_mature():
    late = lived(np.random.default_rng(4), mean_days=1.0)
    lost = (late.at_us // DAY == 50) & (np.arange(late.at_us.size) % 2 == 0)
    late = late._replace(received_us=np.where(lost, 1 << 62, late.received_us))
    told = judged(late, 50, 8)
    assert not told.mature
    assert "otherwise than learned" in told.words
    assert judged(late, 49, 8).mature


def test_a_plateau_that_is_not_reached_yet_is_none():
    """Ten days old, delays of ten days: what will still come is not known, and no window is called mature."""
    late = lived(np.random.default_rng(5), days=10, mean_days=10.0)
    assert not any(judged(late, day, 10 - day - 1).mature for day in range(9))


def test_a_declared_delay_decides_whatever_was_learned():
    late = lived(np.random.default_rng(6), mean_days=1.0)
    for age, mature in ((2.5, False), (3.0, True)):
        told = judged(late, 40, age, POLICY)
        assert (told.mature, told.by) == (mature, "delay")
        assert told.ripe_at == moment(44 * DAY)


@pytest.mark.parametrize(
    ("ages", "quiet"),
    [
        ([], None),
        ([3.0, 3.2, 3.25, -9.0], None),  # when they were declared to come
        ([3.0] * 39 + [5.0], None),  # fewer than `mature_share` leaves out
        ([3.0] * 30 + [5.0, 9.0], 5.25),
        ([9.0] * 10, 9.25),
    ],
)
def test_labels_that_come_later_than_declared_are_awaited_until_none_has_come_for_a_quarter_of_a_window(ages, quiet):
    """`ages` in days, of rows of the same moment; the declared delay is 3 days and 1 in 20 may be missing."""
    received = np.array([int(age * DAY) if age >= 0 else -1 for age in ages], dtype=np.int64)
    assert quiet_us(np.zeros(received.size, dtype=np.int64), received, POLICY) == (0 if quiet is None else int(quiet * DAY))


def test_without_a_declared_delay_late_is_what_comes_after_nearly_all_have_as_learned():
    late = lived(np.random.default_rng(7), mean_days=1.0)
    delays = learn(late.counts(60 * DAY), 60 * DAY)
    learned = delay_of(UNDECLARED, delays)
    assert timedelta(days=2.8) <= learned <= timedelta(days=4)
    assert delay_of(UNDECLARED, None) == timedelta()
    assert delay_of(POLICY, delays) == POLICY.label_delay
    at = np.zeros(40, dtype=np.int64)
    usual = np.linspace(0.1, 1.0, 40) * (learned + timedelta(days=0.25)) / timedelta(microseconds=1)
    assert quiet_us(at, usual.astype(np.int64), UNDECLARED, delays) == 0
    brought = np.where(np.arange(40) < 30, usual, 9 * DAY).astype(np.int64)
    assert quiet_us(at, brought, UNDECLARED, delays) == 9.25 * DAY
