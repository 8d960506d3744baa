"""The monitors on frames in a notebook."""

import doctest
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import Monitor, compare, merge, notebook, profile
from flyball.monitoring.notebook import FrameProfile
from flyball.records import codec

ADULT = Path(__file__).parents[4] / "shared/data/adult_iid_pool/data.csv.gz"


def frame(n: int, seed: int, *, shift: float = 0.0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {"age": draw.normal(40 + shift, 10, n), "town": draw.choice(["Oslo", "Rome", "<b>Bern</b>"], n), "member": draw.random(n) < 0.3}
    )  # fmt: skip


def test_what_moved_is_named_first_and_told_in_words_units_and_a_picture() -> None:
    found = compare(frame(5_000, 1), frame(500, 2, shift=6))
    assert found.moved == ("age",)
    assert found.columns[0].name == "age"
    assert found.columns[0].effects["wasserstein"] == pytest.approx(6, abs=1.5)
    assert "age moved" in str(found)
    html = found._repr_html_()
    assert html.count("<svg") == 3
    assert "<b>Bern</b>" not in html
    assert "&lt;b&gt;Bern&lt;/b&gt;" in html


def test_two_frames_of_one_world_are_called_moved_as_rarely_as_the_level_says() -> None:
    known = profile(frame(4_000, 1), window_rows=300)
    alarms = sum(bool(compare(known, frame(300, seed), level=0.05).moved) for seed in range(10, 310))
    assert alarms <= 25  # 15 expected; 26 or more have a chance of 0.5 %


def test_pandas_and_polars_are_compared_alike() -> None:
    then, now = frame(2_000, 1), frame(400, 2, shift=5)

    def pandas(polars: pl.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: polars[name].to_list() for name in polars.columns})

    assert str(compare(pandas(then), pandas(now))) == str(compare(then, now)) == str(compare(pandas(then), now))


def test_a_profile_is_small_holds_no_rows_and_is_kept_as_bytes() -> None:
    known = profile(frame(20_000, 1))
    kept = known.to_bytes()
    assert len(kept) < 40_000
    assert FrameProfile.from_bytes(kept).reference == known.reference
    assert "20,000 rows" in str(known)
    assert "half of it from 33" in str(known)
    assert str(compare(FrameProfile.from_bytes(kept), frame(300, 3, shift=9))) == str(compare(known, frame(300, 3, shift=9)))


def test_a_watch_tells_a_lasting_shift_once_and_goes_on_from_its_state() -> None:
    known = profile(frame(4_000, 1), window_rows=200)
    watch = Monitor(known, windows=90)
    assert sum(len(watch.look(frame(200, seed))) for seed in range(20, 40)) == 0
    found = watch.look(frame(200, 40, shift=8))
    assert [finding.subject for finding in found] == ["age"]
    later = Monitor(known, windows=90, state=watch.state)
    assert sum(len(later.look(frame(200, seed, shift=8))) for seed in range(41, 51)) == 0


def test_a_window_counted_in_two_places_is_judged_like_one_counted_at_once() -> None:
    known, now = profile(frame(4_000, 1), window_rows=400), frame(400, 2, shift=5)
    one, other = Monitor(known), Monitor(known)
    halves = merge(other.count(other.columns(now[:150])), other.count(other.columns(now[150:])))
    assert other.judge(halves) == one.look(now)
    assert other.state == one.state


def test_columns_that_came_went_or_hold_something_else_are_told() -> None:
    then = frame(500, 1)
    found = compare(then, frame(200, 2).drop("town").with_columns(new=pl.lit(1)))
    assert (found.absent, found.left_out) == (("town",), {"new": "not in the reference"})
    assert "not in the frame: town" in str(found)
    with pytest.raises(DataError, match=r"'age' holds String.*Next: cast it"):
        Monitor(then).look(frame(200, 2).with_columns(age=pl.lit("old")))


@pytest.mark.parametrize(("n", "level"), [(5, 0.01), (200, 0.0), (200, 2.0)])
def test_too_short_a_frame_or_no_level_is_told(n: int, level: float) -> None:
    with pytest.raises(DataError, match=r"rows|level"):
        compare(frame(500, 1), frame(n, 2), level=level)


@pytest.mark.skipif(not ADULT.exists(), reason="the real table is not beside this checkout")
def test_a_fault_in_a_real_table_is_found_and_nothing_else_is() -> None:
    rows = pl.read_csv(ADULT, infer_schema_length=None).sample(fraction=1.0, shuffle=True, seed=1)
    broken = rows[20_000:21_000].with_columns(
        pl.when(pl.int_range(pl.len()) % 12 > 0).then("workclass").alias("workclass"), pl.col("hours_per_week") * 60
    )
    assert set(compare(rows[:20_000], broken).moved) == {"hours_per_week", "workclass"}


def test_a_reference_whose_order_means_something_says_so() -> None:
    ordered = pl.DataFrame({"x": np.sort(np.random.default_rng(1).normal(50, 10, 5_000))})
    assert "shuffle the rows" in str(compare(ordered, ordered[:1_000]))
    assert "shuffle" not in str(compare(frame(2_000, 1), frame(300, 2)))


@pytest.mark.parametrize(
    "frames",
    [
        (pd.DataFrame(np.ones((50, 2))), frame(100, 1)),
        (frame(100, 1), pl.DataFrame({"other": range(100)})),
        (frame(100, 1), pd.DataFrame([[1, 2]] * 50, columns=["age", "age"])),
        (frame(100, 1), frame(100, 2).with_columns(town=pl.lit(["Oslo"])).select("town")),
        (frame(100, 1), frame(100, 2).select(town=pl.struct("age"))),
        (frame(100, 1), pd.DataFrame({"town": [["Oslo"]] * 50})),
        (frame(100, 1), pd.DataFrame({"member": [True, None] * 25})),
    ],
    ids=[
        "names that are no text",
        "nothing in common",
        "two of one name",
        "lists",
        "structs",
        "lists of pandas",
        "no boolean of pandas",
    ],
)
def test_frames_that_cannot_be_compared_are_told_in_words(frames: tuple[object, object]) -> None:
    with pytest.raises(DataError, match=r"column"):
        compare(*frames)


@pytest.mark.parametrize("wrong", ["5%", None])
def test_a_level_or_a_budget_that_is_no_number_is_told(wrong: object) -> None:
    with pytest.raises(DataError, match="level"):
        compare(frame(200, 1), frame(100, 2), level=wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="budget"):
        Monitor(profile(frame(200, 1)), windows=wrong)  # type: ignore[arg-type]


def test_what_is_not_watched_is_said_where_one_looks() -> None:
    mixed = pd.DataFrame({"member": [True, None] * 50, "age": range(100)})
    for known in (profile(mixed), compare(mixed, mixed)):
        for shown in (str(known), known._repr_html_()):
            assert "not looked at: member (Object is neither a number nor a category: astype(" in shown
    with pytest.raises(
        DataError, match=r"none of them a number or a category\. Expected: at least one\n  member: Object is neither"
    ):
        profile(mixed[["member"]])
    with pytest.raises(DataError, match="a frame without 'town', 'member'"):
        Monitor(frame(200, 1)).look(frame(100, 2)[["age"]])


@pytest.mark.parametrize("kept", [b"", b"junk", b"{}", b"\xff", "{}", None])
def test_bytes_that_are_no_profile_are_told_in_words(kept: object) -> None:
    with pytest.raises(DataError, match="no profile"):
        FrameProfile.from_bytes(kept)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    then, now = frame(400, 1), frame(100, 2)
    assert profile(then, window_rows=np.int64(100)).to_bytes() == profile(then, window_rows=100).to_bytes()  # type: ignore[arg-type]
    assert compare(then, now, level=np.float64(0.01)).moved == compare(then, now).moved == ()
    Monitor(then, windows=np.int32(90))  # type: ignore[arg-type]


def test_a_monitor_takes_a_frame_as_well_as_its_profile() -> None:
    assert Monitor(frame(2_000, 1)).look(frame(200, 2, shift=9))


@pytest.mark.parametrize(("level", "tested"), [(0.05, 0.05), (0.1, 0.1), (0.5, 0.1), (0.8, 0.1), (0.99, 0.1)])
def test_a_level_that_no_look_has_is_tested_at_the_highest_and_the_words_say_so(level: float, tested: float) -> None:
    found = compare(frame(400, 1), frame(100, 2), level=level)
    assert (found.level, found.asked) == (tested, None if level == tested else level)
    assert f"all columns together: {tested:g}" in found.words
    assert (f"{level:g} was asked for" in found.words) is (level > tested)


def test_a_profile_that_was_kept_still_says_what_is_not_looked_at() -> None:
    known = profile(frame(400, 1).with_columns(when=pl.lit(1).cast(pl.Datetime)))
    again = FrameProfile.from_bytes(known.to_bytes())
    assert again == known
    assert "when" in again.left_out
    assert str(again) == str(known)
    assert FrameProfile.from_bytes(codec.encode(known.reference)) == FrameProfile(known.reference, {})  # of a release before


def test_a_state_of_another_reference_is_refused_in_words() -> None:
    known = profile(frame(1_000, 1))
    watch = Monitor(known)
    watch.look(frame(200, 2))
    with pytest.raises(DataError, match="another reference"):
        Monitor(profile(frame(1_000, 3)), state=watch.state)
    assert Monitor(FrameProfile.from_bytes(known.to_bytes()), state=watch.state).state == watch.state
    earlier = msgspec.structs.replace(watch.state, bins="")  # of a release before
    assert Monitor(known, state=earlier).state == watch.state


@pytest.mark.parametrize("odd", [{"a": ["x\ud800", "y"]}, {"a\ud800": ["x", "y"]}, {"a\ud800": pd.to_datetime(["2026", "2027"])}])
def test_text_that_no_file_can_hold_is_told_with_its_column(odd: dict[str, object]) -> None:
    then = pd.DataFrame(odd | {"b": [1.0, 2.0]}).loc[[0, 1] * 20]
    with pytest.raises(DataError, match=r"the column 'a.* half a character"):
        profile(then)
    now = pd.DataFrame({"a": ["x\ud800", "y"] * 20})
    (compared,) = compare(pd.DataFrame({"a": ["x", "y"] * 20}), now).columns
    assert compared.finding is not None
    assert compared.finding.words == "a: 50 % of rows have a known category spelt otherwise, such as 'x\\ud800' for 'x'"
    assert compared.histogram is not None
    assert compared.histogram.labels[-1] == "never seen"


@pytest.mark.parametrize(
    "grades", [pd.Categorical([1, 2] * 200), ["1", "2"] * 200, ["1.0", "2.0"] * 200, pd.Categorical([1.0, 2.0] * 200)]
)
def test_the_same_grades_as_floats_have_not_moved(grades: object) -> None:
    known = profile(pd.DataFrame({"grade": grades}))
    now = [1.0, 2.0] * 50
    assert compare(known, pd.DataFrame({"grade": [*now, np.nan]})).moved == ()
    assert compare(known, pl.DataFrame({"grade": [value + 0.5 for value in now]})).moved == ("grade",)


def test_the_library_is_the_package_and_importing_the_package_imports_none_of_it() -> None:
    code = "import sys, flyball.monitoring as m; print(sorted({'numpy', 'narwhals', 'polars'} & set(sys.modules)), callable(m.profile), m.compare, m.Monitor)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("[] True <function compare")
    with pytest.raises(ImportError):
        from flyball.monitoring import nothing_such  # type: ignore[attr-defined]  # noqa: F401


def test_the_example_at_the_head_of_the_library_is_true() -> None:
    assert doctest.testmod(notebook) == (0, 4)
