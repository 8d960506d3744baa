"""Tables of two columns."""

import doctest

import numpy as np
import pytest

from flyball.stats import contingency

DEPENDENT = np.array([[0.20, 0.08, 0.02], [0.08, 0.20, 0.07], [0.02, 0.08, 0.25]])


def drawn(rng, shares, n):
    return rng.multinomial(n, np.ravel(shares) / np.sum(shares)).reshape(np.shape(shares))


def test_fitting_to_margins_keeps_every_odds_ratio():
    fitted = contingency.fitted_to_margins(DEPENDENT, [0.7, 0.2, 0.1], [0.1, 0.1, 0.8])
    odds = [table[0, 0] * table[2, 2] / (table[0, 2] * table[2, 0]) for table in (DEPENDENT, fitted)]
    assert odds[0] == pytest.approx(odds[1])
    assert fitted.sum(axis=0) == pytest.approx([0.1, 0.1, 0.8])
    assert fitted.sum(axis=1) == pytest.approx([0.7, 0.2, 0.1])


@pytest.mark.parametrize(("reference", "n"), [(300, 300), (3000, 300), (3000, 100)])
def test_a_change_of_dependence_is_claimed_no_oftener_than_stated_though_the_margins_move(reference, n):
    rng = np.random.default_rng(1)
    moved = DEPENDENT * np.outer([1.5, 1.0, 0.5], [0.7, 1.0, 1.6])
    found = [contingency.dependence_change(drawn(rng, DEPENDENT, reference), drawn(rng, moved, n)).normal for _ in range(600)]
    assert np.mean(np.asarray(found) > 1.645) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)
    assert np.mean(np.asarray(found) > 3.7) <= 0.005  # a normal law says 0.0001; small cells have longer tails


def test_a_lost_dependence_is_seen_in_300_rows():
    rng = np.random.default_rng(2)
    lost = contingency.independent(DEPENDENT)
    found = [contingency.dependence_change(drawn(rng, DEPENDENT, 3000), drawn(rng, lost, 300)).normal for _ in range(100)]
    assert min(found) > 3.7


@pytest.mark.parametrize("table", [[[5, 3]], [[0, 0], [0, 0]], [[4, 0], [3, 0]]])
def test_a_table_without_two_values_of_each_column_says_nothing(table):
    assert contingency.dependence_change(table, table).statistic == 0.0
    assert contingency.association(table) == 0.0


def test_a_window_of_no_rows_says_nothing():
    assert contingency.dependence_change(DEPENDENT * 1000, np.zeros((3, 3))).statistic == 0.0


def test_association_of_independent_columns_is_about_nothing_however_small_the_table_is_filled():
    rng = np.random.default_rng(3)
    found = [contingency.association(drawn(rng, np.ones((4, 4)), 60)) for _ in range(300)]
    assert np.median(found) < 0.1


def test_the_examples_run():
    assert doctest.testmod(contingency).failed == 0
