"""Few bars that hold every row."""

import numpy as np
import pytest

from flyball.monitoring import counting, streams
from flyball.monitoring.histogram import MOST_BARS, histogram_of
from flyball.monitoring.streams import Stream


def number(values: np.ndarray) -> Stream:
    bins = streams.bins_for_numbers("x", "feature", values)
    return Stream(
        **{
            **{name: getattr(bins, name) for name in bins.__struct_fields__},
            "counts": tuple(streams.bin_of(bins, values).tolist()),
        }
    )


def test_every_row_is_in_one_bar_and_a_heavy_value_has_its_own() -> None:
    draw = np.random.default_rng(1)
    then = np.where(draw.random(4_000) < 0.4, 0.0, draw.exponential(10, 4_000))
    then[:40] = np.nan
    stream = number(then)
    shown = histogram_of(stream, streams.bin_of(stream, np.array([-5.0, 0.0, 3.0, 999.0, np.nan])).tolist())
    assert shown is not None
    assert sum(shown.reference) == pytest.approx(1.0, abs=1e-3)
    assert sum(shown.window) == pytest.approx(1.0, abs=1e-3)
    of = dict(zip(shown.labels, shown.window, strict=True))
    assert of["= 0"] == of["missing"] == 0.2
    assert dict(zip(shown.labels, shown.reference, strict=True))["= 0"] == pytest.approx(0.4, abs=0.03)
    assert len(shown.labels) <= MOST_BARS + 6


def test_frequent_categories_have_names_and_the_rest_share_bars() -> None:
    values = [f"c{number % 40:02d}" for number in range(4_000)] + [""] * 10
    bins = streams.bins_for_categories("town", "feature", counting.times_each(values))
    stream = Stream(
        name="town",
        role="feature",
        kind="category",
        categories=bins.categories,
        others=bins.others,
        counts=tuple(streams.bin_of(bins, values).tolist()),
    )
    shown = histogram_of(stream, streams.bin_of(stream, ["c00", "new", "new", ""]).tolist())
    assert shown is not None
    of = dict(zip(shown.labels, shown.window, strict=True))
    assert (of["c00"], of["never seen"], of["missing"]) == (0.25, 0.5, 0.25)
    assert len(shown.labels) <= MOST_BARS


def test_of_no_rows_there_is_nothing_to_see() -> None:
    stream = number(np.arange(100.0))
    assert histogram_of(stream, [0] * stream.n_bins) is None
