"""How small a move is too small to call anybody, and that luck does not make it small."""

import tracemalloc

import numpy as np
import pytest
from monitored_world import POLICY, day

from flyball.monitoring import effects
from flyball.monitoring.drift import DriftState, judge
from flyball.monitoring.policy import INDIFFERENCE
from flyball.monitoring.reference import Reference, build
from flyball.monitoring.streams import Stream, bins_for_categories
from flyball.monitoring.traits import Traits
from flyball.monitoring.window_counts import profile_of
from flyball.records.signature import Column, ColumnType, Signature
from flyball.stats import log_buckets

SIGNATURE = Signature(task="regression", columns=(Column(name="town", type=ColumnType.CATEGORY, missing=True),))


def towns(n: int, new: float, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return np.where(draw.uniform(size=n) < new, "Bern", draw.choice(["Oslo", "Rome"], n)).tolist()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return build(SIGNATURE, {"town": towns(20_000, 0.0, 1)}, None, None, 1_000, None)


def alarms(reference: Reference, n: int, new: float, seed: int) -> bool:
    window = profile_of(reference, {"town": towns(n, new, seed)}, None)
    return bool(judge(reference, DriftState(), window, day(0), POLICY).findings)


def test_what_surely_moved_less_than_half_a_row_in_a_hundred_calls_nobody(reference: Reference) -> None:
    """Both are proven by thousands of rows."""
    assert not any(alarms(reference, 300_000, 0.004, seed) for seed in range(5))
    assert all(alarms(reference, 300_000, 0.006, seed) for seed in range(5))


def test_luck_does_not_make_a_move_too_small(reference: Reference) -> None:
    """Of a thousand rows with half a per cent of a new word a third hold fewer than five of them."""
    seen = [alarms(reference, 1_000, 0.005, seed) for seed in range(100)]
    few = [towns(1_000, 0.005, seed).count("Bern") < 5 for seed in range(100)]
    assert sum(few) > 30
    assert sum(seen) > 100 - sum(few)


@pytest.mark.parametrize(
    ("n", "new", "may"),
    [(1_000, 5, True), (1_000, 3, True), (1_000, 1, False), (100_000, 400, False), (100_000, 480, True), (100_000, 600, True)],
)
def test_what_did_move_is_asked_how_far_it_may_have(n: int, new: int, may: bool) -> None:
    stream: Stream = bins_for_categories("town", "feature", {"Oslo": 50_000, "Rome": 50_000})
    before, now = np.zeros(stream.n_bins), np.zeros(stream.n_bins)
    before[-2:] = 50_000
    now[-2:] = (n - new) / 2
    now[2] = new
    assert effects.may_have_moved(stream, now, before, INDIFFERENCE) is may


def test_how_far_out_numbers_lie_takes_the_memory_of_their_buckets_not_of_their_rows() -> None:
    draw = np.random.default_rng(3)
    stream = Stream(name="x", role="feature", kind="number", edges=(-1.0, 0.0, 1.0))
    for _ in range(20):
        values = np.sort(draw.normal(draw.normal(), 2.0, 400))
        found, level = log_buckets.merged([(log_buckets.counted(values), 0)], 100)
        bins = np.append(0.0, np.bincount(np.searchsorted(stream.edges, values, side="right"), minlength=4))
        before = draw.multinomial(300, [0.0, 0.1, 0.4, 0.4, 0.1]).astype(float)
        few = Traits(values=400, missing=0, lowest=values[0], highest=values[-1], buckets=found, level=level)
        left = [int(np.ceil(of / 300 * 400)) for of in (before[1], before[-1])]
        far = np.maximum(-1.0 - values[left[0] : int(bins[1])], 0.0).sum()
        far += np.maximum(values[400 - int(bins[-1]) : 400 - left[1]] - 1.0, 0.0).sum()
        assert effects.outside(stream, bins, few, before) == pytest.approx(far / 400, rel=0.1, abs=0.01)
        many = Traits(
            values=4 * 10**7,
            missing=0,
            lowest=values[0],
            highest=values[-1],
            buckets={at: n * 10**5 for at, n in found.items()},
            level=level,
        )
        tracemalloc.start()
        same = effects.outside(stream, bins * 10**5, many, before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000
        assert same == pytest.approx(effects.outside(stream, bins, few, before), abs=0.02)  # rows left out are whole ones
