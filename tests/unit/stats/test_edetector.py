import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats import edetector


@given(st.floats(0.0, 1.0), st.floats(0.01, 0.99))
def test_a_bet_on_a_mean_is_never_negative_and_linear_in_the_value(value, bound):
    bets = edetector.mean_bets(value, bound, 0.0)
    assert all(bet >= 0 for bet in bets)
    assert edetector.mean_bets(bound, bound, 0.0) == (1.0,) * len(bets)


def test_a_bet_refuses_a_value_below_its_floor():
    with pytest.raises(ValueError, match="expected a value"):
        edetector.mean_bets(0.1, 0.6, 0.5)


def test_the_mean_run_length_on_a_mean_at_its_bound_is_at_least_the_threshold():
    rng = np.random.default_rng(8)
    threshold, lengths = 20.0, []
    for _ in range(300):
        values, n = edetector.start(len(edetector.BET_FRACTIONS)), 0
        while edetector.level(values) < threshold:
            values = edetector.advance(values, edetector.mean_bets(float(rng.random() < 0.3), 0.3, 0.0))
            n += 1
        lengths.append(n)
    assert np.mean(lengths) >= threshold


def test_a_detector_that_nobody_resets_stays_finite():
    values = edetector.start(1)
    for _ in range(2000):
        values = edetector.advance(values, (30.0,))
    assert values == (edetector.CEILING,)


def test_units_that_are_known_before_the_value_count_as_so_many_windows():
    """In every other window two units: E[R] at the alarm is at most the units that came, so they are at least the threshold."""
    rng = np.random.default_rng(9)
    threshold, spent = 20.0, []
    for _ in range(300):
        values, units, n = edetector.start(len(edetector.BET_FRACTIONS)), 0.0, 0
        while edetector.level(values) < threshold:
            unit = 1.0 + n % 2
            bets = edetector.mean_bets(float(rng.random() < 0.3), 0.3, 0.0)
            values, units, n = edetector.advance(values, bets, unit=unit), units + unit, n + 1
        spent.append(units)
    assert np.mean(spent) >= threshold
    assert edetector.advance((3.0,), (2.0,), unit=2.0) == (10.0,)


def test_bets_that_are_neither_won_nor_lost_gain_nothing():
    assert edetector.gain((7.0, 3.0), (1.0, 1.0)) == 0.0
    values, bets = (7.0, 3.0), (1.2, 0.9)
    assert edetector.gain(values, bets, 0.5) == pytest.approx(
        edetector.level(edetector.advance(values, bets, unit=0.5)) - edetector.level(values) - 0.5
    )
