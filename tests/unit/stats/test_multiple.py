import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats.multiple import benjamini_hochberg, e_bh


def test_equal_weights_give_the_rule_of_wang_and_ramdas():
    values = {"a": 100.0, "b": 45.0, "c": 1.0, "d": 0.0}
    weights = dict.fromkeys(values, 0.25)
    assert e_bh(values, weights, 20.0) == ("a", "b")
    assert e_bh(values, weights, 30.0) == ()


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0.01, 1.0)), min_size=1, max_size=12), st.floats(1.0, 500.0))
def test_whenever_somebody_is_named_the_weighted_average_has_reached_the_threshold(pairs, threshold):
    total = sum(weight for _, weight in pairs)
    weights = {str(i): weight / total for i, (_, weight) in enumerate(pairs)}
    values = {str(i): value for i, (value, _) in enumerate(pairs)}
    if e_bh(values, weights, threshold):
        assert sum(values[name] * weights[name] for name in values) >= threshold * (1 - 1e-9)


def test_the_false_discovery_rate_is_held_under_dependence():
    rng = np.random.default_rng(1)
    names, alpha, share = [f"s{i}" for i in range(20)], 0.1, []
    for _ in range(500):
        common = rng.normal()
        z = 0.8 * common + 0.6 * rng.normal(size=20) + np.where(np.arange(20) < 4, 4.0, 0.0)
        e = np.exp(3.0 * z - 4.5)  # mean one where there is nothing
        named = e_bh(dict(zip(names, e, strict=True)), dict.fromkeys(names, 0.05), 1 / alpha)
        share.append(sum(int(name[1:]) >= 4 for name in named) / max(len(named), 1))
    assert np.mean(share) <= alpha


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        e_bh({"a": 1.0}, {"a": 0.5}, 20.0)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_the_step_up_rule_names_somebody_no_more_often_than_its_level_without_drift(correlation):
    from scipy.special import ndtr

    rng, names = np.random.default_rng(2), [f"s{i}" for i in range(20)]
    weights, named = dict.fromkeys(names, 0.05), 0
    for _ in range(4000):
        z = np.sqrt(correlation) * rng.normal() + np.sqrt(1 - correlation) * rng.normal(size=20)
        named += bool(benjamini_hochberg(dict(zip(names, (2 * ndtr(-np.abs(z))).tolist(), strict=True)), weights, 0.05))
    assert 0.015 <= named / 4000 <= 0.05 + 3 * np.sqrt(0.05 / 4000)


def test_many_that_agree_are_named_where_none_would_be_alone():
    weights = dict.fromkeys("abcd", 0.25)
    assert benjamini_hochberg({"a": 0.004, "b": 0.006, "c": 0.009, "d": 0.5}, weights, 0.01) == ()
    assert benjamini_hochberg({"a": 0.004, "b": 0.006, "c": 0.007, "d": 0.5}, weights, 0.01) == ("a", "b", "c")
