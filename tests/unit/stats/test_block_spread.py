import doctest

import numpy as np
import pytest

from flyball.stats import block_spread as module
from flyball.stats.block_spread import Spread, block_spread, variance_of_mean


def test_the_variance_between_blocks_is_found_on_average_and_none_where_there_is_none():
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(30), rng.integers(5, 40, 30))
    with_luck = [block_spread(rng.normal(0, 0.5, 30)[blocks] + rng.normal(size=blocks.size), blocks).variance for _ in range(200)]
    without = [block_spread(rng.normal(size=blocks.size), blocks).variance for _ in range(200)]
    assert np.mean(with_luck) == pytest.approx(0.25, abs=0.03)
    assert np.mean(without) < 0.02


def test_the_variance_of_a_weighted_mean_is_as_told():
    rng = np.random.default_rng(2)
    blocks, weights = np.repeat(np.arange(20), 10), rng.uniform(0.2, 3.0, 200)
    means = [np.average(rng.normal(0, 0.5, 20)[blocks] + rng.normal(size=200), weights=weights) for _ in range(2000)]
    told = [variance_of_mean(rng.normal(size=200), weights, blocks, Spread(0.25, 20)) for _ in range(200)]
    assert np.mean(told) == pytest.approx(np.var(means), rel=0.1)


@pytest.mark.parametrize("blocks", [[0, 0, 1, 1], [0, 1, 2, 3], [0, 0, 0, 0]])
def test_too_few_blocks_say_nothing(blocks):
    assert block_spread([1.0, 2.0, 3.0, 4.0], blocks) == Spread(0.0, 0)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0
