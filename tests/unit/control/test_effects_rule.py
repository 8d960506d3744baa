"""When an action loses a level because it brings less than was foretold: at a stated rate by chance, and soon when it is so."""

import numpy as np

from flyball.control.effects import RUN_LENGTH, WORSE
from flyball.stats import edetector


def acts_until_it_falls(draw: np.random.Generator, chance: float, most: int) -> int:
    detectors = edetector.start(len(edetector.BET_FRACTIONS))
    for act in range(1, most + 1):
        missed = float(draw.random() < chance)
        detectors = edetector.advance(detectors, edetector.mean_bets(missed, WORSE, 0.0))
        if edetector.level(detectors) >= RUN_LENGTH:
            return act
    return most


def test_intervals_that_keep_their_word_cost_a_level_once_in_a_hundred_acts_at_most() -> None:
    draw = np.random.default_rng(17)
    assert np.mean([acts_until_it_falls(draw, WORSE, 2000) for _ in range(800)]) >= RUN_LENGTH


def test_every_act_that_disappoints_costs_it_at_the_second_and_half_of_them_within_six() -> None:
    draw = np.random.default_rng(18)
    assert acts_until_it_falls(draw, 1.0, 50) == 2
    assert np.mean([acts_until_it_falls(draw, 0.5, 200) for _ in range(800)]) <= 6.0
