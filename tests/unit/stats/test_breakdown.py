import doctest

import numpy as np
import pytest

from flyball.stats import breakdown as module
from flyball.stats.breakdown import labels_to_move


@pytest.mark.parametrize("target", [0.05, 0.2, 0.3, 0.7])
def test_so_many_false_labels_reach_the_target_and_one_fewer_do_not(target):
    losses = np.random.default_rng(0).random(200) ** 2
    k = labels_to_move(losses, target)
    worst = 1.0 if target > losses.mean() else 0.0
    order = np.argsort(np.abs(worst - losses))[::-1]

    def mean_with(changed):
        moved = losses.copy()
        moved[order[:changed]] = worst
        return moved.mean()

    assert (mean_with(k) - target) * (losses.mean() - target) <= 1e-12
    assert (mean_with(k - 1) - target) * (losses.mean() - target) > 0


def test_what_cannot_be_reached_or_is_no_loss_is_none():
    assert labels_to_move([], 0.5) is None
    assert labels_to_move([0.1, 0.2], 1.5) is None
    assert labels_to_move([0.5] * 10, 0.0) == 10


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0
