"""Where a later mean lies: covered as often as claimed, with rows that resemble their neighbours, heavy tails and unlike sizes."""

import numpy as np
import pytest

from flyball.stats.foretold import BlockMean, block_mean, expected


def rows(draw: np.random.Generator, n: int, kind: str) -> np.ndarray:
    if kind == "independent":
        return draw.normal(-0.02, 0.1, n)
    if kind == "zeros and tails":  # differences of losses: most are nothing
        return np.where(draw.random(n) < 0.7, 0.0, draw.standard_t(3, n) * 0.1)
    if kind == "days":  # of 60 rows, each with a luck of its own: as much of the variance of a day's mean as its rows
        return draw.normal(0.0, 0.1, n) + np.repeat(draw.normal(0.0, 0.013, n // 60 + 1), 60)[:n]
    noise = draw.normal(0.0, 0.1, n)  # neighbours resemble one another
    found = np.empty(n)
    found[0] = noise[0]
    for k in range(1, n):
        found[k] = 0.5 * found[k - 1] + noise[k]
    return found


@pytest.mark.parametrize(("before", "after"), [(600, 600), (150, 900), (400, 120)])
@pytest.mark.parametrize("kind", ["independent", "zeros and tails", "alike", "days"])
def test_a_later_mean_is_covered_as_often_as_claimed(kind: str, before: int, after: int) -> None:
    draw, runs, held = np.random.default_rng(7), 600, 0
    for _ in range(runs):
        then, now = block_mean(rows(draw, before, kind)), block_mean(rows(draw, after, kind))
        assert then is not None
        assert now is not None
        low, high = expected(then, now, 0.05)
        held += low <= now.mean <= high
    # 120 rows are two days: how much days differ cannot be known from them
    assert held / runs >= (0.92 if kind == "days" else 0.94)


def test_a_world_that_moved_is_missed() -> None:
    draw = np.random.default_rng(3)
    then, now = block_mean(rows(draw, 600, "independent")), block_mean(rows(draw, 600, "independent") + 0.05)
    assert then is not None
    assert now is not None
    assert now.mean > expected(then, now, 0.05)[1]


def test_too_few_rows_foretell_nothing_and_no_spread_foretells_a_number() -> None:
    assert block_mean(np.zeros(59)) is None
    same = BlockMean(0.1, 0.0, 5, 90)
    assert expected(same, same, 0.05) == (0.1, 0.1)
