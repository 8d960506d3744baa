"""Tables that moved: in one variable, in the other, or in what one says of the other; and that days differ."""

from functools import cache

import numpy as np
import pytest

from flyball.stats.table_shift import TableShift, table_shift

P = np.asarray([[0.22, 0.02], [0.18, 0.04], [0.14, 0.08], [0.08, 0.10], [0.04, 0.10]])
"""Bins of a score by label."""


def days(draw: np.random.Generator, n: int, rows: int, p: np.ndarray, spread: float = 0.0) -> np.ndarray:
    """Counts of `n` days; `spread`: how much the log of a cell's share differs from day to day."""
    found = []
    for _ in range(n):
        own = p * np.exp(spread * draw.normal(size=p.shape))
        found.append(draw.multinomial(rows, (own / own.sum()).ravel()).reshape(p.shape))
    return np.asarray(found)


RUNS = 2000


@cache
def p_values(spread: float, rows: tuple[int, int]) -> tuple[TableShift, ...]:
    """Of tables of which nothing moved."""
    draw = np.random.default_rng(11)
    return tuple(table_shift(days(draw, 20, rows[0], P, spread), days(draw, 3, rows[1], P, spread)) for _ in range(RUNS))


@pytest.mark.parametrize(
    ("spread", "rows"), [(0.0, (100, 100)), (0.2, (150, 150)), (0.2, (60, 400))], ids=["independent", "days", "larger"]
)
@pytest.mark.parametrize("of", ["a", "b", "b_given_a", "a_given_b"])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_where_nothing_moved_a_part_is_called_moved_as_often_as_it_claims(
    alpha: float, of: str, spread: float, rows: tuple[int, int]
) -> None:
    called = sum(getattr(found, of).p < alpha for found in p_values(spread, rows)) / RUNS
    # three standard errors of 2,000 draws above the claim
    assert called <= alpha + 3 * (alpha * (1 - alpha) / RUNS) ** 0.5


def moved(p: np.ndarray, seed: int = 3) -> TableShift:
    draw = np.random.default_rng(seed)
    return table_shift(days(draw, 20, 200, P, 0.05), days(draw, 4, 400, p / p.sum(), 0.05))


def test_other_rows_leave_what_labels_say_of_them() -> None:
    found = moved(P * np.asarray([0.4, 0.6, 1.0, 1.6, 2.2])[:, None])
    assert found.a.p < 1e-6
    assert found.b_given_a.p > 0.05
    assert found.share_of_a == pytest.approx(1.0, abs=0.05)
    assert found.share_of_b is not None
    assert found.share_of_b < 0.8


def test_other_shares_of_labels_leave_what_rows_look_like_within_each() -> None:
    found = moved(P * np.asarray([0.6, 2.2]))
    assert found.b.p < 1e-6
    assert found.a_given_b.p > 0.05
    assert found.b_given_a.p < 1e-3
    assert found.share_of_b == pytest.approx(1.0, abs=0.05)


def test_labels_that_turned_are_neither_rows_nor_labels_alone() -> None:
    turned = P.copy()
    turned[3:] = turned[3:, ::-1]
    turned[:2] = 0.7 * turned[:2] + 0.3 * turned[:2, ::-1]
    found = moved(turned)
    assert max(found.b_given_a.p, found.a_given_b.p) < 1e-6
    assert found.share_of_a == pytest.approx(0.0, abs=0.05)


def test_the_parts_sum_to_the_same_whole_both_ways() -> None:
    one = table_shift([[[40, 10], [10, 40]]], [[[50, 20], [5, 5]]])
    assert min(one.a.excess, one.b.excess, one.b_given_a.excess, one.a_given_b.excess) > 0.0, "so that none was cut at 0"
    assert one.a.excess + one.b_given_a.excess == pytest.approx(one.b.excess + one.a_given_b.excess)


def test_nothing_that_moved_has_no_share_and_what_never_varied_cannot_move() -> None:
    same = table_shift([[[40, 0], [10, 0]]], [[[40, 0], [10, 0]]])
    assert (same.b.p, same.share_of_b) == (1.0, None)


@pytest.mark.parametrize("now", [[[[0, 0], [0, 0]]], [[[1, 2, 3]]], [[1, 2]]])
def test_tables_of_other_cells_or_without_rows_are_refused(now: object) -> None:
    with pytest.raises(ValueError, match="of the same cells"):
        table_shift([[[1, 2], [3, 4]]], now)
