import doctest

import numpy as np
import pytest

from flyball.stats import bootstrap
from flyball.stats.bootstrap import paired_block_bootstrap

ALPHA = 0.1


def mean_loss(labels, losses):
    return float(losses.mean())


def test_blocks_cover_as_often_as_claimed_where_single_rows_do_not():
    """40 days of 10 rows that share their day's luck: the truth is a difference of 0."""
    rng = np.random.default_rng(0)
    days, missed_blocks, missed_rows = np.repeat(np.arange(40), 10), 0, 0
    for i in range(150):
        a = rng.random(400)
        b = a + np.repeat(rng.normal(0, 0.1, 40), 10) + rng.normal(0, 0.05, 400)
        for_blocks = paired_block_bootstrap(mean_loss, np.zeros(400), a, b, days, ALPHA, i, 200)
        for_rows = paired_block_bootstrap(mean_loss, np.zeros(400), a, b, np.arange(400), ALPHA, i, 100)
        missed_blocks += not for_blocks.lower <= 0 <= for_blocks.upper
        missed_rows += not for_rows.lower <= 0 <= for_rows.upper
    assert missed_blocks / 150 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 150) ** 0.5
    assert missed_rows / 150 > 3 * ALPHA


def test_the_same_seed_gives_the_same_answer_and_another_another():
    rng = np.random.default_rng(1)
    a, b, blocks = rng.random(100), rng.random(100), np.arange(100) // 4
    first, again, other = (paired_block_bootstrap(mean_loss, np.zeros(100), a, b, blocks, 0.05, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value == other.value
    assert first != other


def test_blocks_may_be_named_by_anything_and_lie_apart():
    a = np.zeros(6)
    days = ["mon", "tue", "mon", "tue", "wed", "wed"]
    assert paired_block_bootstrap(mean_loss, a, a, a + 1, days, 0.05, 0) == (1.0, 1.0, 1.0)


def test_a_metric_that_resamples_do_not_define_is_refused():
    def undefined(labels, scores):
        return float("nan")

    with pytest.raises(ValueError, match="undefined on 500 of 500"):
        paired_block_bootstrap(undefined, np.zeros(4), np.zeros(4), np.zeros(4), np.arange(4), 0.05, 0)


@pytest.mark.parametrize(
    ("rows", "blocks", "alpha", "words"),
    [(3, [0, 1], 0.05, "2 rows"), (2, [0, 0], 0.05, "two blocks"), (2, [0, 1], 2.0, "error rate")],
)
def test_what_does_not_fit_is_refused(rows, blocks, alpha, words):
    with pytest.raises(ValueError, match=words):
        paired_block_bootstrap(mean_loss, np.zeros(rows), np.zeros(rows), np.zeros(rows), blocks, alpha, 0)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(bootstrap)[0] == 0
