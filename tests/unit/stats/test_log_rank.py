import doctest

import numpy as np
import pytest

from flyball.stats import log_rank as module
from flyball.stats.log_rank import log_rank
from flyball.stats.student import t_quantile

ALPHA = 0.05
DAYS, ROWS, BINS = 40, 60, 6
LATE = np.arange(DAYS) >= 28


def days(rng, chance, spread):
    """(events, at risk) by day; each day has a luck of its own."""
    luck = np.clip(chance * rng.gamma(1.0 / spread, spread, DAYS) if spread else np.full(DAYS, chance), 0.01, 0.95)
    left, events, at_risk = np.full(DAYS, ROWS), [], []
    for _ in range(BINS):
        at_risk.append(left)
        events.append(rng.binomial(left, luck))
        left = left - events[-1]
    return np.stack(events, axis=1), np.stack(at_risk, axis=1)


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_an_unchanged_delay_is_called_changed_as_rarely_as_claimed_also_when_days_have_luck(spread):
    rng = np.random.default_rng(1)
    limit = t_quantile(1 - ALPHA / 2, 11)
    called = sum(abs(log_rank(*days(rng, 0.3, spread), LATE)) > limit for _ in range(600))
    assert called / 600 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 600) ** 0.5


def test_a_slower_delay_is_found_and_its_sign_says_so():
    rng = np.random.default_rng(2)
    for _ in range(20):
        fast, slow = days(rng, 0.35, 0.05), days(rng, 0.2, 0.05)
        both = [np.where(LATE[:, None], second, first) for first, second in zip(fast, slow, strict=True)]
        assert log_rank(*both, LATE) < -t_quantile(1 - ALPHA / 2, 11)


def test_without_two_groups_at_risk_nothing_is_said():
    assert log_rank([[1], [0]], [[5], [0]], [False, True]) == 0.0
    assert log_rank([[0], [0]], [[5], [5]], [False, True]) == 0.0


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0
