"""An alarm that comes again: is it the rise that was told, or another one? Simulations with fixed seeds."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flyball.monitoring.recent_losses import STILL, Before, Told, WindowLoss, recent

START, DAY = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
TOLD = Told(at=START, between=(START, START), words="since 2026-01-01")
ROUNDS = 1000


def windows(means, first=0):
    return tuple(WindowLoss(mean=float(mean), n=100, start=START + (first + k) * DAY) for k, mean in enumerate(means))


def again(before, now):
    """What the second of two alarms says."""
    return recent((), Before(windows(before), TOLD), windows(now, len(before)), alone=False)


def test_a_loss_that_stays_is_told_since_the_moment_that_was_told():
    rng, anew = np.random.default_rng(20261128), 0
    for _ in range(ROUNDS):
        before, now = (rng.normal(0.3, 0.02, int(rng.integers(*sizes))) for sizes in ((1, 8), (2, 8)))
        found = again(before, now)
        still = found.since is not None and found.since.at == START and len(found.windows) == before.size + now.size
        anew += not still
    # Two tests at one in a hundred each, and their error.
    assert anew / ROUNDS <= 0.02 + 3 * np.sqrt(0.02 / ROUNDS)


@pytest.mark.parametrize(
    ("before", "between", "now"), [(0.3, 0.12, 0.3), (0.3, 0.3, 0.42), (0.3, 0.12, 0.5)], ids=["a storm", "further", "another"]
)
def test_another_rise_is_told_by_its_own_moment(before, between, now):
    """The interval of a change misses in one of twenty; here a window beside it is no miss."""
    rng, missed = np.random.default_rng(20261129), 0
    for _ in range(ROUNDS // 4):
        good = int(rng.integers(4, 30))
        since = again(rng.normal(before, 0.02, 3), np.r_[rng.normal(between, 0.02, good), rng.normal(now, 0.02, 4)]).since
        at = START + (3 + good) * DAY
        missed += since is None or not since.between[0] - DAY <= at <= since.between[1] + DAY
    assert missed / (ROUNDS // 4) <= 0.05


def test_still_is_said_once_and_windows_that_were_judged_in_another_order_are_in_order_of_time():
    first = again([0.3], [0.31, 0.29, 0.3, 0.3])
    assert first.since is not None
    assert first.since.words == "still: since 2026-01-01"
    later = Told(at=first.since.at, between=first.since.between, words=first.since.words)
    turned = windows([0.3, 0.3, 0.31, 0.29], 5)[::-1]
    second = recent((), Before(windows([0.3, 0.31, 0.29, 0.3, 0.3])[::-1], later), turned, alone=False)
    assert second.since is not None
    assert second.since.words == STILL + "since 2026-01-01"
    assert [each.start for each in second.windows] == [START + k * DAY for k in range(9)]


def test_a_change_is_dated_by_time_whatever_order_labels_were_complete_in():
    rng, missed = np.random.default_rng(7), 0
    for _ in range(60):
        judged = windows(np.r_[rng.normal(0.1, 0.01, 12), rng.normal(0.3, 0.01, 6)])
        mixed = sorted(judged, key=lambda each: each.start.day % 3)
        found = recent(tuple(rng.normal(0.1, 0.01, 8)), Before((), None), mixed, alone=False).since
        assert found is not None
        assert found.between[0] <= found.at <= found.between[1]
        missed += not found.between[0] <= START + 12 * DAY <= found.between[1]
    assert missed <= 6  # of 3 that the level allows
