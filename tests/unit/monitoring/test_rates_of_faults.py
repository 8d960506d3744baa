"""What is called impossible, at one in a million: exact laws, and draws from the other side that are weighed back (importance sampling)."""

import numpy as np
import pytest
from scipy.stats import binom

from flyball.monitoring import moved_labels
from flyball.monitoring.norms import Norm
from flyball.monitoring.quality import IMPOSSIBLE, _chance_of_one


@pytest.mark.parametrize("reference", [50, 100, 1_000, 20_000])
@pytest.mark.parametrize("n", [20, 100, 1_000, 5_000])
def test_a_column_of_one_value_is_called_frozen_by_chance_as_rarely_as_claimed(reference, n):
    """The chance itself, over draws of the reference too: by the share in it, a hundred rows called a thousand frozen in 6 of 10,000."""
    for share in (0.5, 0.8, 0.9, 0.97, 0.99, 0.995, 0.999):
        others = np.arange(reference)
        norms = [Norm(present=reference, top_share=1.0 - k / reference, clumping=0.0) for k in others.tolist()]
        called = np.array([_chance_of_one(norm, n) < IMPOSSIBLE for norm in norms])
        of_all = share**n + (1.0 - share) ** n
        assert of_all * binom.pmf(others, reference, 1.0 - share)[called].sum() <= IMPOSSIBLE, share


@pytest.mark.parametrize("shape", ["even", "sure", "far"])
def test_labels_that_follow_their_answers_are_called_turned_as_rarely_as_claimed(shape):
    """Labels are drawn as if they were turned, which they hardly ever are, and each draw counts by how much rarer it is where they are not."""
    rng, chance = np.random.default_rng(81), 0.0
    for _ in range(600):
        p = {"even": rng.beta(2.0, 2.0, 40), "sure": rng.beta(0.5, 0.5, 40).clip(0.002, 0.998), "far": rng.beta(2.0, 12.0, 40)}[
            shape
        ]
        labels = (rng.random(40) < 1.0 - p).astype(float)
        said = moved_labels._turned(p, labels, np.arange(40) // 20, 1, by_level=True)
        chance += bool(said) * np.exp(-moved_labels._gain(p, labels)) / 600
    assert 0.0 < chance <= moved_labels.IMPOSSIBLE


@pytest.mark.parametrize("level", [0.5, 0.3, 0.1])
def test_labels_that_are_all_the_same_are_called_so_at_most_twice_as_often_as_claimed(level):
    """Exactly: all yes or all no, each with the chance that is asked."""
    for n in range(12, 200):
        told = [moved_labels._same(np.full(n, level), np.full(n, value), 1) for value in (0.0, 1.0)]
        assert bool(told[0]) * (1.0 - level) ** n + bool(told[1]) * level**n <= 2.0 * moved_labels.IMPOSSIBLE


def test_a_column_that_the_reference_had_no_value_of_is_not_frozen() -> None:
    """Nothing is known of what it holds: any value is as good."""
    assert _chance_of_one(Norm(present=0, top_share=1.0, clumping=0.0), 400) == 1.0
