"""What the library sees in frames beside a shift: numbers far from 0, rows in groups, columns that came or went, dependence and faults."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import Monitor, compare, merge, profile
from flyball.monitoring.drift import DriftState
from flyball.monitoring.frame_counts import FrameCounts
from flyball.monitoring.notebook import FrameProfile
from flyball.records import codec

N = 2_000


def normal(n: int = N, *, seed: int = 0, mean: float = 0.0, sd: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, n)


def frame(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(columns)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (1.76e9 + normal(sd=5.0), 1.76e9 + 15.0 + normal(seed=1, sd=5.0)),
        (20_260_101 + np.arange(N) % 10, 20_260_104 + np.arange(500) % 10),
        (3e7 + normal(), 3e7 + 5.0 + normal(500, seed=1)),
        (np.full(N, 1_760_000_001), np.full(500, 1_760_000_031)),
        (-1.76e9 + normal(sd=5.0), -1.76e9 - 15.0 + normal(seed=1, sd=5.0)),
    ],
    ids=["seconds since 1970", "days as whole numbers", "far", "constant", "far below 0"],
)
def test_numbers_far_from_zero_are_seen_to_move_and_told_with_digits_enough(then: np.ndarray, now: np.ndarray) -> None:
    found = compare(frame(x=then), frame(x=now))
    assert found.moved == ("x",)
    assert found.columns[0].effects["js"] > 0.3
    assert found.columns[0].finding is not None
    edge = float(found.columns[0].finding.words.partition(", before")[0].split()[-1])
    assert min(then.min(), now.min()) <= edge <= max(then.max(), now.max())
    if then.std() > 0:
        assert found.columns[0].effects["wasserstein"] == pytest.approx(abs(now.mean() - then.mean()), rel=0.6)
    same = np.random.default_rng(3).permutation(then)
    assert compare(frame(x=same[:1_500]), frame(x=same[1_500:])).moved == ()


def test_a_profile_keeps_what_it_took_off_so_that_windows_are_in_the_same_bins() -> None:
    known = FrameProfile.from_bytes(profile(frame(x=1.76e9 + normal(sd=5.0))).to_bytes())
    assert "1759999" in str(known)
    assert Monitor(known).look(frame(x=1.76e9 + normal(200, seed=1, sd=5.0))) == ()
    (found,) = Monitor(known).look(frame(x=1.76e9 + 15.0 + normal(200, seed=1, sd=5.0)))
    assert found.subject == "x"


def test_numbers_that_a_float32_holds_are_as_they_came() -> None:
    known = profile(frame(x=normal(mean=40.0, sd=10.0), k=np.arange(N) % 7 + 100_000, one=np.full(N, 0.1)))
    assert {stream.centre for stream in known.reference.streams} == {0.0}


def test_a_column_in_which_float32_cannot_tell_far_values_apart_is_named() -> None:
    mixed = frame(at=np.where(np.arange(N) % 3 == 0, 1.76e9 + normal(sd=5.0), 0.0), x=np.exp(normal(sd=4.0)))
    known = FrameProfile.from_bytes(profile(mixed).to_bytes())
    assert known.coarse == ("at",)
    assert "not looked at finely: at (" in str(known)
    assert "not looked at finely: at (" in str(compare(known, mixed))


def test_an_edge_has_as_many_digits_as_tell_it_from_the_next() -> None:
    found = compare(frame(x=normal(mean=1_000.0, sd=0.1)), frame(x=normal(500, seed=1, mean=1_000.2, sd=0.1)))
    assert "at least 1000." in str(found)
    assert "by itself only" not in str(found)


def in_groups(n: int, seed: int, *, rows: int = 100, sd: float = 0.3) -> pl.DataFrame:
    """Rows in groups, each with luck of its own."""
    draw = np.random.default_rng(seed)
    luck = np.repeat(draw.normal(0.0, sd, (n // rows + 1, 3)), rows, axis=0)[:n] + draw.normal(size=(n, 3))
    return pl.DataFrame({f"x{place}": luck[:, place] for place in range(3)})


def test_windows_much_shorter_than_the_stretches_of_a_reference_that_differ_are_refused_with_what_to_do() -> None:
    reference = in_groups(10_000, 1)
    for look in (Monitor(reference).look, lambda window: compare(profile(reference), window)):
        with pytest.raises(DataError, match=r"a window of 100 rows.*profile\(frame, window_rows=100\)"):
            look(in_groups(100, 2))
    assert compare(reference, in_groups(100, 2)).moved == ()
    # where rows are exchangeable a window may be as short as it likes
    assert Monitor(in_groups(10_000, 1, sd=0.0)).look(in_groups(100, 2, sd=0.0)) == ()


@pytest.mark.parametrize("rows", [100, 60])
def test_windows_as_the_refusal_asks_for_keep_to_the_budget(rows: int) -> None:
    alarms = 0
    for seed in range(5):
        watch = Monitor(profile(in_groups(10_000, seed), window_rows=100), windows=20)
        alarms += sum(bool(watch.look(in_groups(rows, 1_000 + 100 * seed + each))) for each in range(40))
    assert alarms <= 17  # 10 allowed; 18 or more have a chance of 1.4 %


def test_an_alarm_says_what_it_spends_where_drift_has_all_of_the_budget() -> None:
    known = profile(frame(x=normal()), window_rows=200)
    (found,) = Monitor(known, windows=90).look(frame(x=normal(200, seed=1, mean=2.0)))
    assert found.share_of_budget == 0.77
    assert "spends 77% of the budget, one false alarm in 90 windows" in found.evidence.note
    assert found.histogram is not None
    one = compare(known, frame(x=normal(200, seed=1, mean=2.0)), level=0.05).columns[0].finding
    assert one is not None
    assert (one.share_of_budget, one.evidence.note) == (None, "one look at level 0.05, all columns together")


def test_columns_that_are_gone_new_or_of_another_type_are_in_the_headline_and_the_others_are_compared() -> None:
    then = frame(x=normal(), gone=normal(), k=normal(), day=[dt.date(2026, 1, 1)] * N, town=["Oslo"] * N)
    now = frame(
        x=normal(400, seed=1, mean=3.0), new=["a"] * 400, k=["text"] * 400, day=[dt.date(2026, 2, 1)] * 400, town=[["Oslo"]] * 400
    )
    found = compare(then, now)
    assert (found.moved, found.absent, found.changed) == (("x",), ("gone",), True)
    assert [(each.column, each.kind) for each in found.schema] == [
        ("gone", "gone"),
        ("new", "new"),
        ("k", "type"),
        ("town", "type"),
    ]
    assert "x moved; gone: gone; new: new; of another type: k, town (chance" in found.words
    assert "the column 'k' holds String" in str(found)
    assert not compare(then, then).changed
    with pytest.raises(DataError, match="Next: cast it where the frame is made"):
        Monitor(then).look(now)


def test_a_column_of_another_type_in_another_library_hides_no_other() -> None:
    then = frame(x=normal(), price=[decimal.Decimal("1.25") * (n % 7) for n in range(N)])
    now = pd.DataFrame({"x": normal(400, seed=1, mean=3.0), "price": [decimal.Decimal("1.25") * (n % 7) for n in range(400)]})
    found = compare(then, now)
    assert found.moved == ("x",)
    assert [each.column for each in found.schema] == ["price"]
    assert 'astype("boolean"), "float"' in str(found)


AT = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * N


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (AT, list(range(N)), "the column 'at' holds Int64, and was left out: Datetime("),
        (AT, ["text"] * N, "holds String, and was left out: Datetime("),
        ([[1, 2]] * N, [0.5] * N, "holds Float64, and was left out: List("),
        (AT, [[1, 2]] * N, "holds List(Int64), and was left out: Datetime("),
        (AT, [None] * N, ""),
        (AT, pl.Series([None] * N, dtype=pl.Int64), ""),
        (AT, [dt.date(2026, 1, 1)] * N, ""),
        (AT, AT, ""),
    ],
)
def test_a_column_that_was_left_out_and_holds_something_else_is_of_another_type(then: list, now: list, told: str) -> None:
    found = compare(frame(x=normal(), at=then), frame(x=normal(), at=now))
    assert [(each.column, each.kind) for each in found.schema] == ([("at", "type")] if told else [])
    assert found.changed is bool(told)
    assert told in str(found)
    kept = compare(profile(frame(x=normal(), at=then)), pd.DataFrame({"x": normal(), "at": list(now)}))
    assert [each.column for each in kept.schema] == (["at"] if told and not isinstance(now[0], list) else [])


def test_infinite_values_count_as_missing_and_are_said_to() -> None:
    then = np.where(normal() > 1.0, np.inf, normal())
    for reference, window in ((then, normal()), (normal(), then), (normal(), -then)):
        found = compare(frame(x=reference), frame(x=window))
        assert found.moved == ("x",)
        assert "infinite values, or beyond 3.4e38, count as missing in the" in str(found)
    assert compare(frame(x=then), frame(x=then[::-1])).moved == ()
    assert FrameProfile.from_bytes(profile(frame(x=then)).to_bytes()).infinite == {"x": int(np.isinf(then).sum())}
    assert compare(frame(x=normal()), frame(x=np.append(normal(400, seed=1), [1e300] * 100))).columns[0].finding is not None


def dependent(n: int, seed: int, *, broken: bool = False) -> pl.DataFrame:
    a = normal(n, seed=seed)
    b = 0.95 * a + normal(n, seed=seed + 10_000, sd=0.3)
    return frame(a=a, b=np.random.default_rng(seed).permutation(b) if broken else b)


def test_columns_that_no_longer_go_together_are_told_once_by_their_names() -> None:
    found = compare(dependent(N, 1), dependent(500, 2, broken=True))
    assert (found.moved, found.changed) == ((), True)
    assert [each.words.partition(":")[0] for each in found.together] == ["a and b go together otherwise"]
    assert "nothing moved; a and b go together otherwise" in str(found)
    (told,) = Monitor(dependent(N, 1)).look(dependent(500, 2, broken=True))
    assert told.kind == "joint_drift"
    assert told.share_of_budget == pytest.approx(0.77, abs=1e-5)


def test_frames_of_dependent_columns_are_called_moved_as_rarely_as_the_level_says() -> None:
    known = profile(dependent(4_000, 1), window_rows=300)
    alarms = sum(compare(known, dependent(300, seed), level=0.05).changed for seed in range(10, 310))
    assert alarms <= 25  # 15 expected; 26 or more have a chance of 0.5 %


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        ({"a": np.exp(normal(500, seed=1)) * 60, "b": normal(500, seed=2)}, "another unit"),
        ({"a": np.full(500, 1.5), "b": normal(500, seed=2)}, "a is frozen: all 500 values are 1.5"),
        ({"a": normal(500, seed=2), "b": np.exp(normal(500, seed=1))}, "a and b are swapped"),
    ],
)
def test_a_fault_of_the_data_is_told_in_its_words(now: dict[str, np.ndarray], fault: str) -> None:
    then = frame(a=np.exp(normal()), b=normal(seed=5))
    found = compare(then, pl.DataFrame(now))
    assert fault in str(found)
    assert {each.kind for each in Monitor(then).look(pl.DataFrame(now))} == {"data_quality"}


def test_a_comparison_gives_wasserstein_in_the_columns_unit_and_says_what_it_does_not_see() -> None:
    _head, columns, row, *_, last = str(
        compare(frame(x=normal(sd=10.0)), frame(x=normal(500, seed=1, mean=5.0, sd=10.0)))
    ).splitlines()
    assert columns.split() == ["column", "moved", "JS", "distance", "PSI", "Wasserstein", "what"]
    assert float(row.split()[4]) == pytest.approx(5.0, abs=1.0)
    assert last.startswith("not looked at: the clock")


def test_parts_of_different_references_or_columns_make_no_window() -> None:
    watch, other = Monitor(frame(a=normal(), b=normal(seed=1))), Monitor(frame(a=normal(seed=2), b=normal(seed=3)))
    whole, part = (watch.count(watch.columns(each)) for each in (frame(a=normal(100), b=normal(100)), frame(a=normal(100))))
    with pytest.raises(DataError, match="one of them without 'b'"):
        merge(whole, part)
    with pytest.raises(DataError, match="a frame without 'b'"):
        watch.judge(part)
    foreign = other.count(other.columns(frame(a=normal(100), b=normal(100))))
    with pytest.raises(DataError, match="two different references"):
        merge(whole, foreign)
    with pytest.raises(DataError, match="another reference"):
        watch.judge(foreign)
    assert watch.state.windows == 0


def test_counts_are_kept_as_bytes() -> None:
    watch = Monitor(dependent(N, 1).with_columns(town=pl.Series(["Oslo", "Rome"] * (N // 2))))
    window = dependent(300, 2).with_columns(town=pl.Series(["Oslo", "Bern", "Rome"] * 100))
    counted = watch.count(watch.columns(window))
    assert FrameCounts.from_bytes(counted.to_bytes()) == counted
    with pytest.raises(DataError, match="no counts"):
        FrameCounts.from_bytes(b"{}")


def test_a_profile_of_a_release_before_compares_columns_alone_and_says_so() -> None:
    before = FrameProfile.from_bytes(codec.encode({"reference": profile(frame(x=normal())).reference, "left_out": {}}))
    found = compare(before, frame(x=normal(400, seed=1, mean=3.0)))
    assert found.moved == ("x",)
    assert "since a release before made the profile" in str(found)
    assert Monitor(before, state=DriftState()).look(frame(x=normal(400, seed=1, mean=3.0)))


WASSERSTEIN = {
    "one value": (lambda _, n: np.full(n, 5.0), lambda x: x + 1.0, 1e-5),
    "far above": (lambda g, n: g.normal(size=n), lambda x: x + 10.0, 0.01),
    "far below": (lambda g, n: g.normal(size=n), lambda x: x - 10.0, 0.01),
    "a bit": (lambda g, n: g.normal(size=n), lambda x: x + 0.5, 0.02),
    "wider": (lambda g, n: g.normal(size=n), lambda x: 5.0 * x, 0.02),
    "another unit": (lambda g, n: g.gamma(2.0, 10.0, n), lambda x: 1000.0 * x, 0.01),
    "whole numbers": (lambda g, n: g.integers(0, 50, n).astype(float), lambda x: x + 20.0, 0.01),
    "skewed": (lambda g, n: g.lognormal(0.0, 1.0, n), lambda x: 2.0 * x, 0.05),
    "heavy tail": (lambda g, n: g.pareto(1.5, n), lambda x: 1.5 * x, 0.35),
}


@pytest.mark.parametrize("case", WASSERSTEIN)
def test_the_wasserstein_distance_that_is_shown_is_that_of_the_rows(case):
    from scipy.stats import wasserstein_distance

    drawn, moved, close = WASSERSTEIN[case]
    for seed in range(3):
        draw = np.random.default_rng(seed)
        then, now = drawn(draw, 4000), moved(drawn(draw, 1000))
        found = compare(profile(pl.DataFrame({"x": then}), window_rows=1000), pl.DataFrame({"x": now}))
        assert found.columns[0].effects["wasserstein"] == pytest.approx(wasserstein_distance(then, now), rel=close)
        assert "≥" not in str(found)
        assert all(each.finding is None or each.finding.effects == each.effects for each in found.columns)


@pytest.mark.parametrize("case", WASSERSTEIN)
def test_a_monitor_tells_the_same_distance_and_where_earlier_windows_lie_beyond_the_reference_too_at_least_how_much(case):
    from scipy.stats import wasserstein_distance

    drawn, moved, close = WASSERSTEIN[case]
    for seed, windows in ((0, 0), (1, 0), (0, 5), (1, 5)):
        draw = np.random.default_rng(seed)
        rows = [drawn(draw, 4000), *(drawn(draw, 1000) for _ in range(windows))]
        watch = Monitor(profile(pl.DataFrame({"x": rows[0]}), window_rows=1000), windows=1e6)
        assert all(watch.look(pl.DataFrame({"x": each})) == () for each in rows[1:])
        beyond = any(each.min() < rows[0].min() or each.max() > rows[0].max() for each in rows[1:])
        now = moved(drawn(draw, 1000))
        (found,) = watch.look(pl.DataFrame({"x": now}))
        true = wasserstein_distance(np.concatenate(rows), now)
        assert found.at_least == (("wasserstein",) if beyond else ())
        assert true * (1.0 - close - 0.1 * beyond) < found.effects["wasserstein"] < true * (1.0 + close)


def test_a_wasserstein_distance_that_may_be_larger_says_so():
    draw = np.random.default_rng(0)
    far = profile(pl.DataFrame({"x": 2e9 + draw.normal(size=4000)}), window_rows=1000)
    found = compare(far, pl.DataFrame({"x": 2e9 + 10.0 + draw.normal(size=1000)}))
    assert 3.0 < found.columns[0].effects["wasserstein"] < 10.0
    assert "≥ " in str(found)
    assert "wasserstein ≥ " in found._repr_html_()


@pytest.mark.parametrize("scale", [1e38, 1e39, 1e300])
def test_numbers_that_no_float32_holds_count_as_infinite_and_are_told(scale: float) -> None:
    then, now = frame(a=scale * normal(), b=normal(seed=1)), frame(a=scale * (normal(400, seed=2) + 3.0), b=normal(400, seed=3))
    known = profile(then)
    found = compare(FrameProfile.from_bytes(known.to_bytes()), now)
    beyond = int((np.abs(then["a"].to_numpy()) >= np.finfo(np.float32).max).sum())
    assert known.infinite == ({"a": beyond} if beyond else {})
    assert "or beyond 3.4e38, count as missing in the frame: a" in str(found)


def test_the_largest_float64_in_the_place_of_a_missing_value_is_told_as_missing() -> None:
    now = normal(400, seed=1)
    now[:100] = np.finfo(np.float64).max
    found = compare(frame(a=normal()), frame(a=now))
    assert "25 % of values are missing" in str(found)
    assert "count as missing in the frame: a (100)" in str(found)


def test_numbers_too_small_for_a_float32_are_not_told_as_far_from_0() -> None:
    found = compare(frame(a=1e-300 * normal(), b=normal(seed=1)), frame(a=1e-300 * (normal(seed=2) + 9.0), b=normal(seed=3)))
    assert "far from 0" not in str(found)
    assert "not looked at finely: a" in str(found)
