import pytest
from scipy import stats

from flyball.stats.student import t_quantile, t_upper_tail


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 11, 50, 1000])
def test_the_tail_is_that_of_another_library(degrees):
    for statistic in (-3.0, 0.0, 0.5, 2.0, 6.0):
        assert t_upper_tail(statistic, degrees) == pytest.approx(stats.t.sf(statistic, degrees), abs=1e-12)


def test_the_tail_undoes_the_quantile():
    assert t_upper_tail(t_quantile(0.95, 11), 11) == pytest.approx(0.05, abs=1e-5)


def test_no_degrees_of_freedom_are_refused():
    with pytest.raises(ValueError, match="at least one degree"):
        t_upper_tail(1.0, 0)
