"""Areas of resampled rows: scikit-learn's of the drawn rows themselves."""

import numpy as np
import pytest

from flyball.stats.bootstrap import block_bootstrap_of_counts, paired_block_bootstrap
from flyball.stats.metrics import measure
from flyball.stats.ranked_areas import AREAS, resampled


def rows_of(task, seed, n=60):
    """With many equal scores."""
    draw = np.random.default_rng(seed)
    if task == "binary":
        labels = draw.integers(0, 2, n).astype(np.float64)
        return labels, np.round(0.3 * labels + 0.7 * draw.random(n), 1)[:, None]
    labels = draw.integers(0, 3, n).astype(np.float64)
    return labels, np.round(draw.dirichlet(np.ones(3), n), 1)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", AREAS)
def test_a_draw_has_the_area_of_its_rows(name, task):
    for seed in range(20):
        labels, table = rows_of(task, seed)
        area = resampled(name, task, table, labels, np.arange(labels.size))
        drawn = np.random.default_rng(100 + seed).integers(0, labels.size, labels.size)
        counts = np.bincount(drawn, minlength=labels.size).astype(np.float64)
        assert area(counts) == pytest.approx(measure(name, task, table[drawn], labels[drawn]), abs=1e-12)
        assert area(np.ones(labels.size)) == pytest.approx(measure(name, task, table, labels), abs=1e-12)


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("only", [0.0, 1.0])
def test_a_draw_without_a_class_defines_nothing(name, only):
    labels, table = rows_of("binary", 1)
    assert measure(name, "binary", table[labels == only], labels[labels == only]) is None
    each = np.arange(labels.size)
    assert np.isnan(resampled(name, "binary", table, labels, each)((labels == only).astype(np.float64)))
    three, of_three = rows_of("multiclass", 2)
    assert np.isnan(resampled(name, "multiclass", of_three, three, each)((three != 2).astype(np.float64)))


@pytest.mark.parametrize("name", AREAS)
def test_its_interval_is_that_of_the_drawn_rows(name):
    labels, table = rows_of("binary", 3, 300)
    other = np.round(0.5 * table + 0.5 * np.random.default_rng(4).random((300, 1)), 1)
    blocks = np.arange(300) // 6
    first, second = (resampled(name, "binary", each, labels, blocks) for each in (table, other))
    found = block_bootstrap_of_counts(lambda drawn: second(drawn) - first(drawn), 50, 0.05, 7, 200)
    slow = paired_block_bootstrap(
        lambda truth, scores: measure(name, "binary", scores, truth), labels, table, other, blocks, 0.05, 7, 200
    )
    assert found == pytest.approx(slow, abs=1e-12)


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(ValueError, match="at least two blocks, found 1"):
        block_bootstrap_of_counts(np.mean, 1, 0.05, 1)
    with pytest.raises(ValueError, match="undefined on 500 of 500"):
        block_bootstrap_of_counts(lambda drawn: np.nan * drawn[0], 5, 0.05, 1)
