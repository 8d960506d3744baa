import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitored_world import rows, watched

from flyball.errors import DataError
from flyball.monitoring.window_counts import empty, merge, profile_of
from flyball.records import codec

REFERENCE = watched(np.random.default_rng(2), days=10, n=200)
COLUMNS, SCORES, _ = rows(np.random.default_rng(3), 300, warmer=1.0)


def part(which):
    return profile_of(REFERENCE, {name: values[which] for name, values in COLUMNS.items()}, SCORES[which])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=300, max_size=300), st.permutations(range(5)))
def test_merging_any_split_in_any_order_gives_the_bytes_of_one_pass(places, order):
    split = np.array(places)
    merged = empty(REFERENCE)
    for place in order:
        merged = merge(merged, part(split == place))
    assert codec.encode(merged) == codec.encode(part(slice(None)))


def test_lists_with_none_count_like_arrays_with_nan():
    listed = {
        name: [None if value == "" or (isinstance(value, float) and np.isnan(value)) else value for value in values.tolist()]
        for name, values in COLUMNS.items()
    }
    assert profile_of(REFERENCE, listed, SCORES) == part(slice(None))


def test_columns_of_different_length_are_refused():
    with pytest.raises(DataError, match="different length"):
        profile_of(REFERENCE, COLUMNS | {"temp": [1.0]}, SCORES)


def test_a_thousand_rows_of_eight_streams_take_milliseconds():
    columns, scores, _ = rows(np.random.default_rng(4), 1000)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        profile_of(REFERENCE, columns, scores)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.01  # measured 0.0005
