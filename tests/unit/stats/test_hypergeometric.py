import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats import hypergeometric
from flyball.stats.hypergeometric import exact_p


def test_the_docstrings_example_runs():
    assert doctest.testmod(hypergeometric)[0] == 0


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_it_is_twice_the_smaller_tail_as_scipy_has_it(n, rest, data):
    from scipy.stats import hypergeom

    total = n + rest
    hits_in_all = data.draw(st.integers(0, total))
    hits = data.draw(st.integers(max(0, n + hits_in_all - total), min(n, hits_in_all)))
    null = hypergeom(total, hits_in_all, n)
    expected = min(1.0, 2 * (null.sf(hits - 1) if hits >= n * hits_in_all / total else null.cdf(hits)))
    assert exact_p(hits, n, hits_in_all, total) == pytest.approx(expected, rel=1e-6)


def test_it_never_errs_more_often_than_it_says_down_to_one_in_a_hundred_thousand():
    """Exact, not simulated: the probability of all tables whose p-value is at most the level."""
    from scipy.stats import hypergeom

    for n, hits_in_all, total in ((100, 3, 600), (100, 40, 600), (1000, 25, 1500), (10_000, 300, 10_500)):
        hits = np.arange(max(0, n + hits_in_all - total), min(n, hits_in_all) + 1)
        chance = hypergeom(total, hits_in_all, n).pmf(hits)
        p = np.array([exact_p(int(x), n, hits_in_all, total) for x in hits])
        for level in (0.05, 1e-3, 1e-5):
            assert chance[p <= level].sum() <= level * (1 + 1e-9)


def test_a_table_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="possible table"):
        exact_p(6, 10, 5, 100)
