"""When an action loses a level because it brings less than was foretold: at a stated rate by chance, and soon when it is so."""

from datetime import UTC, datetime

import numpy as np
import pytest

from flyball.control.effects import ALPHA, RUN_LENGTH, WORSE, foretold_mean
from flyball.records.effects import Effect
from flyball.records.evidence import Evidence
from flyball.stats import edetector, foretold, student


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


@pytest.mark.parametrize(("alpha", "deviate"), [(0.05, 1.959964), (0.2, 1.281552), (0.01, 2.575829), (None, 1.959964)])
def test_what_a_gate_foretold_is_as_sure_as_its_own_interval_says(alpha: float | None, deviate: float) -> None:
    """Its alpha is gates.champion.alpha, whatever effects are judged at."""
    half = 0.004 * deviate
    foretold = Evidence(name="brier_difference", value=-0.02, lower=-0.02 - half, upper=-0.02 + half, alpha=alpha, n=900)
    effect = Effect(
        release="r-0002", decision="d-000001", action="retrain", new="u2", old="u1", at=datetime(2026, 1, 1, tzinfo=UTC), predicted=foretold,
        degrees=0,
    )  # fmt: skip
    found = foretold_mean(effect)
    assert found is not None
    assert found.error == pytest.approx(0.004, rel=1e-6)


def test_every_act_that_disappoints_costs_it_at_the_second_and_half_of_them_within_six() -> None:
    draw = np.random.default_rng(18)
    assert acts_until_it_falls(draw, 1.0, 50) == 2
    assert np.mean([acts_until_it_falls(draw, 0.5, 200) for _ in range(800)]) <= 6.0


def in_a_row(draw: np.random.Generator, rows: int) -> np.ndarray:
    """Differences of an act that brings nothing: neighbours share some of their luck, some rows are far out."""
    shared = np.repeat(draw.normal(0.0, 0.05, -(-rows // 10)), 10)[:rows]
    return shared + draw.standard_t(5, rows) * 0.1


@pytest.mark.parametrize(("before", "after"), [(120, 600), (600, 120), (240, 240)])
def test_an_act_that_brings_nothing_counts_no_oftener_than_the_rule_takes(before: int, after: int) -> None:
    """Most where little is known of what was foretold: both ways to count are then two chances."""
    draw, counted, harmed = np.random.default_rng(29), 0, 0
    times = 3000
    for _ in range(times):
        then, now = (foretold.block_mean(in_a_row(draw, rows)) for rows in (before, after))
        assert then is not None
        assert now is not None
        lower = now.mean - student.t_quantile(1.0 - ALPHA / 2.0, now.degrees) * now.error
        harmed += lower > 0.0
        counted += lower > 0.0 or now.mean > foretold.expected(then, now, ALPHA)[1]
    deviations = 3.0 * (WORSE * (1.0 - WORSE) / times) ** 0.5
    assert harmed / times <= WORSE / 2.0 + deviations
    assert counted / times <= WORSE + deviations
