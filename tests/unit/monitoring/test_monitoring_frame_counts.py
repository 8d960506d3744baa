"""A window that is counted in pieces, in several places or in bytes: the same counts, in little memory."""

import contextlib
import tracemalloc
from functools import reduce

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import Monitor, compare, frame_bytes, merge, profile, traits
from flyball.monitoring.frame_counts import PIECE_ROWS, FrameCounts
from flyball.monitoring.frame_profile import FrameProfile
from flyball.monitoring.window_counts import Profile
from flyball.records import codec
from flyball.stats import log_buckets


def frame(n: int, seed: int, numbers: int = 3) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    columns = {
        f"x{i}": np.where(draw.random(n) < 0.03, np.nan, draw.normal(0.0, 1.0 + i, n)).astype(np.float32) for i in range(numbers)
    }
    return pl.DataFrame(columns).with_columns(
        town=pl.Series(draw.choice(["Oslo", "Rome", "Bonn"], n)), fee=pl.Series(draw.integers(0, 4, n).astype(float)),
        far=pl.Series(np.where(draw.random(n) < 0.01, np.inf, 1.76e9 + draw.normal(0.0, 5.0, n))),
    )  # fmt: skip


@pytest.fixture(scope="module")
def known() -> FrameProfile:
    return profile(frame(3_000, 1), window_rows=500)


def counted(known: FrameProfile, rows: pl.DataFrame | pd.DataFrame) -> FrameCounts:
    watch = Monitor(known)
    return watch.count(watch.columns(rows))


def without_order(counts: FrameCounts) -> FrameCounts:
    assert counts.traits is not None
    columns = {name: msgspec.structs.replace(of, repeats=0, pieces=0) for name, of in counts.traits.columns.items()}
    return msgspec.structs.replace(counts, traits=msgspec.structs.replace(counts.traits, columns=columns))


def test_a_hundred_shards_are_the_same_bytes_in_any_order_and_but_for_order_those_of_one_pass(known: FrameProfile) -> None:
    rows = frame(20_000, 2)
    parts = [counted(known, rows[start : start + 200]) for start in range(0, 20_000, 200)]
    draw = np.random.default_rng(3)
    merged = reduce(merge, parts)
    for _ in range(3):
        left = [parts[place] for place in draw.permutation(100)]
        while len(left) > 1:  # as a tree that chance grows
            one, other = (left.pop(int(draw.integers(len(left)))) for _ in range(2))
            left.append(merge(one, other))
        assert left[0].to_bytes() == merged.to_bytes()
    whole = counted(known, rows)
    assert without_order(merged).to_bytes() == without_order(whole).to_bytes()
    assert whole.traits is not None
    assert merged.traits is not None
    assert whole.traits.columns["x0"].level == 1  # more buckets than are kept, which no shard has
    for name, of in whole.traits.columns.items():
        assert of.pieces == 1
        assert merged.traits.columns[name].pieces == 100
        assert 0 <= of.repeats - merged.traits.columns[name].repeats <= 99


def test_a_frame_of_several_pieces_is_counted_to_the_bytes_of_its_pieces(known: FrameProfile) -> None:
    rows = frame(2 * PIECE_ROWS + 700, 4)
    cut = [counted(known, rows[start : start + PIECE_ROWS]) for start in range(0, len(rows), PIECE_ROWS)]
    assert len(cut) == 3
    labelled = pd.DataFrame(rows.to_dict(as_series=False), index=range(len(rows), 0, -1))  # by label other rows than by place
    for whole in (counted(known, rows), counted(known, labelled)):
        assert whole.to_bytes() == reduce(merge, cut).to_bytes()
    infinite = int(rows["far"].is_infinite().sum())
    assert f"far ({infinite:,})" in str(compare(known, rows))


def test_memory_beside_a_frame_does_not_grow_with_its_rows(known: FrameProfile) -> None:
    peaks = []
    for n in (2 * PIECE_ROWS, 8 * PIECE_ROWS):
        rows = frame(n, 5)
        tracemalloc.start()
        counted(known, rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_the_traits_of_a_hundred_numbers_are_some_forty_kilobytes_whatever_the_rows() -> None:
    draw = np.random.default_rng(6)
    for n in (1_000, 20_000, 200_000):
        columns = {f"x{i}": draw.normal(0.0, 10.0 ** (i % 5), n) for i in range(10)}
        seen = traits.traits_of(dict.fromkeys(columns), columns)
        parts = frame_bytes.Parts(Profile(rows=n, counts={}), "", None, msgspec.structs.replace(seen, rows={}), None)
        assert len(frame_bytes.encode(parts)) < 4_000
        assert frame_bytes.decode(frame_bytes.encode(parts)) == parts


def test_bytes_give_the_counts_back_also_those_of_the_release_that_kept_json(known: FrameProfile) -> None:
    whole = counted(known, frame(300, 7))  # of so few rows no buckets are joined
    assert FrameCounts.from_bytes(whole.to_bytes()) == whole
    plain = msgspec.to_builtins(whole, str_keys=True)
    for of in plain["traits"]["columns"].values():
        del of["level"], of["pieces"]
    before = FrameCounts.from_bytes(codec.encode(plain))
    assert before == whole
    assert merge(before, whole) == merge(whole, whole)


@pytest.mark.parametrize("broken", [b"", b"\x80", b"{}", b"\xff" * 40])
def test_other_bytes_are_refused(broken: bytes) -> None:
    with pytest.raises(DataError, match="bytes that hold no counts"):
        FrameCounts.from_bytes(broken)


def test_bytes_that_were_cut_or_changed_are_refused_or_are_counts(known: FrameProfile) -> None:
    kept = counted(known, frame(300, 8)).to_bytes()
    draw = np.random.default_rng(9)
    for _ in range(300):
        changed = bytearray(kept)
        changed[int(draw.integers(len(kept)))] = int(draw.integers(256))
        for bad in (bytes(changed), kept[: int(draw.integers(len(kept)))]):
            with contextlib.suppress(DataError):
                assert isinstance(FrameCounts.from_bytes(bad), FrameCounts)


@pytest.mark.parametrize(
    ("level", "gaps", "runs", "times"),
    [
        (0, [1] * 2_000, [18_000] * 2_000, [1]), (0, [1] * 2_000, [18_000] * 2_000, [1] * 20_000), (0, [1], [18_322], [1] * 18_322), (0, [1], [-5], [1]),
        (0, [2**62], [1], [1]), (0, [-9_161], [1], [1]), (0, [9_160], [2], [1, 1]), (13, [2], [1], [1]), (14, [0], [1], [1]),
    ],
)  # fmt: skip
def test_bytes_that_tell_of_more_buckets_than_there_are_are_refused_before_they_are_made(
    level: int, gaps: list[int], runs: list[int], times: list[int]
) -> None:
    column = frame_bytes._Column(
        1, 0, 0, 1, 0, None, None, level, *(frame_bytes.packed(numbers) for numbers in (gaps, runs, times)), {}
    )
    kept = frame_bytes._Kept(rows=1, counts={}, bins="", pairs=None, columns={"x": column}, digests=b"", times=b"", begin=None)
    hostile = frame_bytes._encoder.encode(kept)
    tracemalloc.start()
    with pytest.raises(DataError):
        FrameCounts.from_bytes(hostile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000  # 36 million buckets took three gigabytes


@pytest.mark.parametrize("numbers", [[], [0], [-1], [2**62, -(2**62), 0], list(range(-40, 900, 7)), [5, 5, 5]])
def test_packed_numbers_come_back(numbers: list[int]) -> None:
    assert frame_bytes.unpacked(frame_bytes.packed(numbers)) == numbers


def test_joined_buckets_are_the_same_however_values_are_divided() -> None:
    draw = np.random.default_rng(10)
    values = np.concatenate([draw.standard_t(1.5, 20_000), np.zeros(50), [np.inf, -np.inf]])
    whole = log_buckets.merged([(log_buckets.counted(values), 0)], 200)
    parts = [
        log_buckets.merged([(log_buckets.counted(part), 0)], 200) for part in np.split(draw.permutation(values), [60, 500, 3_000])
    ]
    assert len({level for _, level in parts}) > 1
    assert reduce(lambda a, b: log_buckets.merged([a, b], 200), parts) == whole
    assert log_buckets.merged(parts[::-1], 200) == whole
    assert whole[0][0] == 50
    assert 100 < len(whole[0]) <= 200
    lower, upper = log_buckets.edges_of(log_buckets.joined(log_buckets.bucket_of(values), whole[1]), whole[1])
    assert np.all((lower <= values) & (values <= upper))


@pytest.mark.parametrize("rows", [1_000, 100, 20])
def test_a_number_that_sticks_is_told_alike_in_whatever_pieces(rows: int) -> None:
    draw = np.random.default_rng(2)
    known = profile(pl.DataFrame({"temp": draw.normal(20, 5, 4_000).round(2), "z": draw.normal(size=4_000)}), window_rows=1_000)
    temp = draw.normal(20, 5, 1_000).round(2)
    temp[300:700] = temp[300]
    window = pl.DataFrame({"temp": temp, "z": draw.normal(size=1_000)})
    watch = Monitor(known)
    merged = reduce(merge, [watch.count(watch.columns(window[start : start + rows])) for start in range(0, 1_000, rows)])
    assert next(found.words for found in watch.judge(merged)).startswith("temp sticks: 40 % of values repeat the one before")


def test_a_move_smaller_than_least_is_not_told() -> None:
    draw = np.random.default_rng(11)
    then, now = (
        pl.DataFrame({"x": draw.normal(shift, 1.0, 60_000)}) for shift in (0.0, 0.05)
    )  # two points of rows across the mean
    assert compare(then, now).moved == ("x",)
    assert compare(then, now, least=0.03).moved == ()
    assert compare(then, now, least=0.0).moved == ("x",)
    known = profile(then, window_rows=60_000)
    assert Monitor(known).look(now)
    assert not Monitor(known, least=0.03).look(now)
    for wrong in (-0.01, 1.0, float("nan"), "1 %"):
        with pytest.raises(DataError, match="a least move of"):
            compare(then, now, least=wrong)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="a least move of"):
            Monitor(known, least=wrong)  # type: ignore[arg-type]
