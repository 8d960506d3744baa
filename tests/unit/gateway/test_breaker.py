"""Claims about the circuit breaker: it opens on a broken unit, not on one bad request, probes once a pause and closes within ten seconds."""

from itertools import pairwise

import numpy as np
import pytest

from flyball.gateway.breaker import LONGEST_PAUSE_SECONDS, Breaker, fair_seconds


def play(fails, seconds, rate=100.0, start=0.0, breaker=None):
    """(breaker, calls that were let through as (time, failed)); `fails(now)`: whether a call fails."""
    breaker = breaker or Breaker()
    calls = []
    for now in start + np.arange(0.0, seconds, 1 / rate):
        if breaker.allows(now):
            failed = fails(now)
            calls.append((now, failed))
            breaker.failed(now) if failed else breaker.succeeded(now)
    return breaker, calls


def always(now):
    return True


def never(now):
    return False


def test_a_unit_that_always_fails_is_cut_off_after_five_calls_and_probed_no_more_than_once_a_second():
    breaker, calls = play(always, 60)
    assert breaker.open
    assert [now for now, _ in calls[:5]] == [0.0, 0.01, 0.02, 0.03, 0.04]
    probes = np.diff([now for now, _ in calls[4:]])
    assert probes.min() >= 1.0
    assert probes.max() <= LONGEST_PAUSE_SECONDS + 0.02


def test_one_poisoned_request_among_good_ones_cuts_nobody_off():
    breaker, calls = play(lambda now: round(now * 100) % 10 == 3, 60)
    assert not breaker.open
    assert len(calls) == 6000


def test_a_unit_that_fails_every_second_call_is_cut_off_within_two_seconds_and_stays_so_but_for_probes():
    draw = np.random.default_rng(7)

    def half(now):
        return bool(draw.random() < 0.5)

    breaker, _ = play(half, 2)
    assert breaker.open
    _, later = play(half, 600, start=2.0, breaker=breaker)
    assert len(later) < 0.05 * 60_000


def test_a_healed_unit_answers_again_within_ten_seconds():
    breaker, _ = play(always, 120)
    _, calls = play(never, 12, start=120.0, breaker=breaker)
    assert not breaker.open
    closed = next(now for (now, _), (following, _) in pairwise(calls) if following - now < 0.5)
    assert closed - 120.0 <= 10.0


def test_probes_must_succeed_in_a_row():
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0.0)
    now = 0.0
    for outcome in (True, True, False, True, True):
        now += 10.0
        assert breaker.allows(now)
        breaker.succeeded(now) if outcome else breaker.failed(now)
        assert breaker.open
    now += 10.0
    assert breaker.allows(now)
    breaker.succeeded(now)
    assert not breaker.open


def test_three_calls_in_a_row_that_are_not_answered_in_time_open_it_and_two_do_not():
    breaker = Breaker()
    for _ in range(2):
        breaker.failed(0.0, "late", late=True)
    assert not breaker.open
    breaker.failed(0.0, "late", late=True)
    assert breaker.open
    assert breaker.words == "late"


@pytest.mark.parametrize(("call_seconds", "n", "seconds"), [(0.001, 1, 1.0), (1.2, 1, 2.4), (0.05, 16, 1.6), (0.05, 1000, 1.6)])
def test_what_is_fair_grows_with_the_call_and_not_without_end_with_its_rows(call_seconds, n, seconds):
    """A code model of 50 ms a call, most of it the same for any number of rows, that hangs on 1,000 rows: not 100 s."""
    assert fair_seconds(call_seconds, n) == pytest.approx(seconds)
