"""Profiles and counts that releases before kept: compared as they were counted, and what they cannot tell is not told."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import Monitor, compare, merge, profile
from flyball.monitoring.frames import columns_of
from flyball.monitoring.notebook import FrameProfile
from flyball.monitoring.reference import build
from flyball.monitoring.window_counts import Profile
from flyball.records import codec

FAR = "numbers far from 0 beside how far they are apart"


def kept_before(frame: pl.DataFrame, rows: int = 200) -> FrameProfile:
    """As the release before did: numbers as they came, without dependence and faults."""
    columns = columns_of(frame)
    reference = build(columns.signature, columns.values, None, None, rows, None)
    return FrameProfile.from_bytes(codec.encode({"reference": reference, "left_out": columns.left_out}))


def with_infinite(n: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    values = draw.normal(0.0, 3.0, n)
    return pl.DataFrame({"x": np.where(draw.random(n) < 0.06, np.inf, values), "y": values + draw.normal(size=n)})


def test_infinite_values_are_counted_as_the_reference_counted_them() -> None:
    before = kept_before(with_infinite(4_000, 1), 300)
    for known in (before, FrameProfile.from_bytes(before.to_bytes())):
        found = compare(known, with_infinite(300, 5))
        assert not found.changed
        assert "infinite values, or beyond 3.4e38, count as missing" not in str(found)
        watch = Monitor(known)
        window = watch.count(watch.columns(with_infinite(300, 6))).profile.counts["x"]
        assert (window[0], window[-1]) == (0, np.isinf(with_infinite(300, 6)["x"].to_numpy()).sum())
        told = [finding.subject for seed in range(6, 46) for finding in watch.look(with_infinite(300, seed))]
        assert "x" not in told
        assert len(told) <= 2  # 0.4 expected; 3 or more have a chance of 1 %
    finite = with_infinite(300, 5).with_columns(x=pl.col("y"))
    assert compare(before, finite).moved == ("x",)
    assert compare(FrameProfile.from_bytes(profile(with_infinite(4_000, 1)).to_bytes()), with_infinite(300, 5)).moved == ()


def columns(n: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "seconds": 1.76e9 + draw.integers(0, 30, n).astype(float), "id": np.full(n, 1_760_000_001), "day": 20_260_101 + draw.integers(0, 10, n),
            "far": draw.normal(1e6, 0.1, n), "share": draw.random(n), "year": draw.integers(2020, 2027, n), "flag": draw.random(n) < 0.3,
            "zeros": np.where(draw.random(n) < 0.9, 0.0, draw.normal(1e5, 10.0, n)), "one": np.full(n, 0.1), "town": ["Oslo"] * n,
            "empty": pl.Series([None] * n, dtype=pl.Float64),
        }
    )  # fmt: skip


def test_a_profile_kept_before_says_that_it_does_not_see_numbers_far_from_zero_and_names_them() -> None:
    then = columns(2_000, 1)
    told = str(compare(kept_before(then), columns(300, 2)))
    assert f"{FAR}, which seconds, id, day, far may be; profile the frame anew" in told
    assert f"{FAR}; profile" in str(compare(kept_before(then.select("share", "town")), columns(300, 2)))
    assert FAR not in str(compare(profile(then), columns(300, 2)))


def test_bytes_of_the_reference_alone_tell_nothing_of_columns_that_were_left_out() -> None:
    def frame(n: int) -> pl.DataFrame:
        return pl.DataFrame({"x": np.arange(n) % 7, "at": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * n})

    oldest = FrameProfile.from_bytes(codec.encode(profile(frame(700)).reference))
    for known in (oldest, FrameProfile.from_bytes(oldest.to_bytes())):
        found = compare(known, frame(210))
        assert (found.schema, found.changed) == ((), False)
        assert "not looked at: at (" in str(found)
    assert compare(kept_before(frame(700)), frame(210)).schema == ()
    (new,) = compare(kept_before(frame(700)), frame(210).with_columns(new=pl.lit(1))).schema
    assert (new.column, new.kind) == ("new", "new")


def test_counts_of_a_release_before_are_refused_with_what_to_do() -> None:
    watch = Monitor(pl.DataFrame({"x": np.arange(700) % 7}))
    now = watch.count(watch.columns(pl.DataFrame({"x": np.arange(70) % 7})))
    before = Profile(rows=now.profile.rows, counts=now.profile.counts)
    for asked in (lambda: watch.judge(before), lambda: merge(now, before), lambda: merge(before, now)):  # type: ignore[arg-type]
        with pytest.raises(DataError, match="Next: count the window again"):
            asked()
    assert watch.state.windows == 0
