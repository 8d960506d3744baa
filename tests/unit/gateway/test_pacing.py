"""Claims about how many rows a call beside the loop is given: as many as take the time that was meant for it, whatever was thought before."""

import pytest

from flyball.gateway.pacing import Cost, Pace


def played(row_seconds, *, thought=0.0, call_seconds=0.0, n=3000, most=1024):
    """Seconds of each call until `n` rows are done."""
    pace, seconds, left = Pace(0.25, thought, most), [], n
    while left:
        rows = min(pace.rows, left)
        seconds.append(call_seconds + rows * row_seconds)
        pace.took(rows, seconds[-1])
        left -= rows
    return seconds


@pytest.mark.parametrize("row_seconds", [0.0001, 0.006, 0.1, 0.3])
@pytest.mark.parametrize("wrong_by", [1, 10])
def test_calls_take_the_time_that_is_meant_for_them(row_seconds, wrong_by):
    seconds = played(row_seconds, thought=row_seconds * wrong_by, n=200)
    assert max(seconds) <= max(0.26, row_seconds)
    assert len(seconds) <= 200 * max(row_seconds / 0.25, 1 / 200) * 2 + 3


def test_rows_that_are_quick_are_given_as_many_as_may_be():
    assert len(played(1e-6, thought=0.005, call_seconds=0.005, n=10_000)) <= 13


@pytest.mark.parametrize("call_seconds", [0.2, 1.0])
def test_a_model_that_is_slow_for_each_call_is_given_many_rows(call_seconds):
    assert len(played(0.0, thought=0.005, call_seconds=call_seconds, n=5000)) <= 15
    mixed = played(0.002, thought=0.005, call_seconds=call_seconds, n=5000)
    assert max(mixed) <= 2.2 * call_seconds
    assert sum(mixed) <= 2.5 * 5000 * 0.002 + 5 * call_seconds


def test_one_call_that_was_quick_by_luck_is_followed_by_four_times_as_many_rows_at_most():
    pace = Pace(0.25, 0.01, 1024)
    assert pace.rows == 25
    pace.took(25, 0.0)
    assert pace.rows == 100


def test_a_call_that_was_late_is_tried_with_half_of_its_rows_and_not_for_ever():
    pace = Pace(0.25, 0.0, 1024)
    assert not pace.halved(1024, 0.1), "what dies at once does not die of its rows"
    assert pace.halved(1024, 5.0)
    assert pace.rows == 512
    assert pace.halved(512, 5.0)
    assert pace.rows == 256
    assert not pace.halved(256, 5.0)
    assert not Pace(0.25, 0.0, 1024).halved(1, 5.0)


def learned(*calls):
    cost = Cost()
    for n_rows, seconds in calls:
        cost.took(n_rows, seconds)
    return cost


def test_of_no_call_nothing_is_known():
    assert (learned().seconds(5), learned().row_seconds) == (None, None)


def test_what_a_call_costs_whatever_its_rows_is_no_row_s():
    dear = learned((1, 0.5), (100, 0.51))
    assert dear.seconds(10) == pytest.approx(0.51)
    assert dear.seconds(200) == pytest.approx(1.02)
    assert dear.row_seconds == pytest.approx(0.0051)


def test_a_large_call_makes_a_small_one_no_longer_than_its_rows():
    assert learned((1, 0.004), (375, 1.5)).seconds(10) == pytest.approx(0.04)


@pytest.mark.parametrize(("call_seconds", "row_seconds"), [(0.0, 0.01), (0.5, 0.0), (0.2, 0.01)])
def test_a_call_is_never_thought_shorter_than_it_is(call_seconds, row_seconds):
    cost = learned(*((n, call_seconds + n * row_seconds) for n in (1, 2, 7, 40, 300)))
    assert all(cost.seconds(n) >= (call_seconds + n * row_seconds) * (1 - 1e-9) for n in range(1, 2000))


def test_rows_that_no_call_makes_cheaper_are_given_a_few_at_a_time():
    cost = learned(*((n, 0.007 * n) for n in (1, 5, 30, 140)))
    assert cost.worth(0.05, 256) == 7


@pytest.mark.parametrize("call_seconds", [0.002, 0.02, 0.2])
def test_a_call_is_worth_as_many_rows_as_make_each_nearly_as_cheap_as_can_be(call_seconds):
    row_seconds = 0.0005
    cost = learned(*((n, call_seconds + n * row_seconds) for n in (1, 3, 9, 27, 81, 243)))
    best = call_seconds / 243 + row_seconds
    given = cost.worth(0.01, 256)
    assert call_seconds / given + row_seconds <= 1.1 * best


def test_of_calls_that_nobody_made_nothing_is_thought_and_of_those_that_take_too_many_neither():
    assert learned().worth(0.05, 256) == 256
    assert learned((5000, 0.1)).worth(0.05, 256) == 256


@pytest.mark.parametrize(
    ("call_seconds", "row_seconds", "least", "most"),
    [(0.06, 0.0005, 256, 256), (0.2, 0.001, 256, 256), (0.0005, 0.007, 6, 7), (0.0, 0.0002, 250, 256)],
)
def test_from_calls_of_one_row_it_finds_by_itself_how_many_are_worth_a_call(call_seconds, row_seconds, least, most):
    cost, rows = Cost(), 1
    for _ in range(40):
        cost.took(rows, call_seconds + rows * row_seconds)
        rows = cost.worth(0.05, 256)
    assert least <= rows <= most
