import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats import edetector


def test_every_step_bet_is_an_e_value_for_a_uniform_p():
    grid = (np.arange(32 * 100) + 0.5) / 3200
    means = np.mean([edetector.step_bets(p) for p in grid], axis=0)
    assert means == pytest.approx(np.ones(len(edetector.STEP_LEVELS)), abs=1e-9)


@given(st.floats(0.0, 1.0), st.floats(0.01, 0.99))
def test_a_bet_on_a_mean_is_never_negative_and_linear_in_the_value(value, bound):
    bets = edetector.mean_bets(value, bound, 0.0)
    assert all(bet >= 0 for bet in bets)
    assert edetector.mean_bets(bound, bound, 0.0) == (1.0,) * len(bets)


def test_a_bet_refuses_a_value_below_its_floor():
    with pytest.raises(ValueError, match="expected a value"):
        edetector.mean_bets(0.1, 0.6, 0.5)


def test_the_mean_run_length_on_uniform_p_values_is_at_least_the_threshold():
    rng = np.random.default_rng(8)
    threshold, lengths = 20.0, []
    for _ in range(300):
        values, n = edetector.start(len(edetector.STEP_LEVELS)), 0
        while edetector.level(values) < threshold:
            values = edetector.advance(values, edetector.step_bets(rng.random()))
            n += 1
        lengths.append(n)
    assert np.mean(lengths) >= threshold  # measured 35


def test_a_detector_that_nobody_resets_stays_finite():
    values = edetector.start(1)
    for _ in range(2000):
        values = edetector.advance(values, (30.0,))
    assert values == (edetector.CEILING,)
