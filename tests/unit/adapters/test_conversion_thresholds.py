"""A threshold in single precision parts float32 values as the double did."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from flyball.adapters.conversion.thresholds import rounded_down

FLOAT32 = st.floats(width=32, allow_nan=False)


@example(threshold=-3.402823364973241e38, values=[])
@given(threshold=st.floats(allow_nan=False), values=st.lists(FLOAT32, max_size=5))
def test_every_float32_stays_on_its_side(threshold: float, values: list[float]) -> None:
    single = rounded_down(np.array([threshold]))[0]
    with np.errstate(over="ignore"):
        beside = [np.nextafter(single, np.float32(-np.inf)), single, np.nextafter(single, np.float32(np.inf))]
    for value in [*beside, *np.array(values, dtype=np.float32)]:
        assert (value <= single) == (float(value) <= threshold)


@given(low=FLOAT32)
def test_the_middle_of_two_neighbours_parts_them(low: float) -> None:
    first = np.float32(low)
    with np.errstate(over="ignore"):
        second = np.nextafter(first, np.float32(np.inf))
    if not np.isfinite(first) or not np.isfinite(second):
        return
    single = rounded_down(np.array([(float(first) + float(second)) / 2]))[0]
    assert first <= single < second
