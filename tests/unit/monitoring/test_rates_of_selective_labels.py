"""How often labels that come to all alike are called selective, or contradict scores that are right: exactly where rows are few, by simulation with fixed seeds else."""

import numpy as np
import pytest
from scipy.stats import binom

from flyball.monitoring.live import WindowRows
from flyball.monitoring.selective import ALPHA, Features, _contradicts, arms, selection


@pytest.mark.parametrize("sizes", [(12, 12), (20, 1_000), (30, 300), (40, 40)])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 0.5, 0.95, 0.98])
def test_arms_of_which_labels_come_alike_are_told_apart_as_rarely_as_claimed(sizes, share):
    """The chance itself, over all outcomes. Pearson's chi-square told a canary of 20 rows from a champion of 1,000 in 1.3 % of windows with few labels."""
    chances = [binom.pmf(np.arange(n + 1), n, share) for n in sizes]
    told = 0.0
    for one, other in zip(*np.nonzero(np.outer(*(chance > 1e-7 for chance in chances))), strict=True):
        if arms({"u1": (sizes[0], int(one)), "u2": (sizes[1], int(other))}).kind == "refused":
            told += chances[0][one] * chances[1][other]
    assert told <= ALPHA


def test_three_arms_share_the_chance():
    """At 3,000 draws a rate of 0.3 % fails with chance 0.9."""
    rng, sizes, told = np.random.default_rng(41), (30, 60, 900), 0
    for labelled in rng.binomial(sizes, 0.9, (3_000, 3)):
        told += arms({f"u{place}": of for place, of in enumerate(zip(sizes, labelled.tolist(), strict=True))}).kind == "refused"
    assert told <= 3_000 * ALPHA + 3.0 * (3_000 * ALPHA) ** 0.5


def test_a_canary_of_few_rows_without_a_label_is_refused_beside_a_champion_with_all():
    assert arms({"u1": (20, 2), "u2": (1_000, 980)}).subject == "arm"


@pytest.mark.parametrize("windows", [1_500, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_a_rare_category_is_called_what_labels_hang_on_as_rarely_as_claimed(windows):
    """Twelve rows of a kind, of 400 that nearly all have a label: a chi-square of groups too small for it called so in more. 1,500 windows show a rate of 0.5 %
    with chance 0.9."""
    rng, told = np.random.default_rng(42), 0
    for _ in range(windows):
        scores = rng.beta(1.0, 2.0, 400)
        has = rng.random(400) < 0.97
        labels = np.where(has, rng.random(400) < scores, np.nan)
        rows = WindowRows(np.zeros(400, dtype=np.int64), np.where(has, 1, -1), scores[:, None], labels)
        kind = np.where(rng.random(400) < 0.03, "rare", "usual").astype(object)
        told += bool(selection("binary", rows, Features({"kind": kind}))[0].hang_on)
    assert told <= windows * ALPHA + 3.0 * (windows * ALPHA) ** 0.5


def drawn(rng, shape, n):
    """Scores that are the chances of their labels, and labels."""
    if shape == "three classes":
        table = rng.dirichlet((0.3, 0.3, 0.05), n)
        return table, (rng.random((n, 1)) > np.cumsum(table, axis=1)).sum(axis=1).clip(0, 2).astype(float)
    p = {
        "rare": lambda: rng.beta(0.5, 50.0, n),
        "sure": lambda: rng.beta(0.1, 0.1, n),
        "ties": lambda: rng.choice([0.02, 0.1, 0.5], n),
        "even": lambda: np.full(n, 0.5),
    }[shape]()
    return p[:, None], (rng.random(n) < p).astype(float)


@pytest.mark.parametrize("shape", ["rare", "sure", "ties", "even", "three classes"])
@pytest.mark.parametrize("windows", [2_000, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_scores_that_are_right_are_contradicted_as_rarely_as_claimed(shape, windows):
    """In strata of ten labels and of hundreds; 2,000 draws show a rate of 0.4 % with chance 0.95."""
    rng, told = np.random.default_rng(43), 0
    strata = np.repeat(np.arange(8), [10, 10, 12, 15, 20, 40, 80, 113])
    for _ in range(windows):
        scores, labels = drawn(rng, shape, strata.size)
        rows = WindowRows(np.zeros(strata.size, dtype=np.int64), np.ones(strata.size, dtype=np.int64), scores, labels)
        task = "multiclass" if shape == "three classes" else "binary"
        told += bool(_contradicts(task, rows, np.ones(strata.size, dtype=bool), strata))
    assert told <= windows * ALPHA + 3.0 * (windows * ALPHA) ** 0.5
