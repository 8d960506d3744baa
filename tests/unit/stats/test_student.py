import pytest

from flyball.stats.student import t_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 11, 40, 400])
@pytest.mark.parametrize("probability", [0.9, 0.95, 0.99])
def test_quantiles_agree_with_scipy_within_a_percent(probability, degrees):
    from scipy.stats import t

    assert t_quantile(probability, degrees) == pytest.approx(t.ppf(probability, degrees), rel=0.01)


def test_what_has_no_quantile_is_refused():
    with pytest.raises(ValueError, match="at least one degree"):
        t_quantile(0.95, 0)
