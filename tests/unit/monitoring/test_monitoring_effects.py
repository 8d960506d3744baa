"""How small a move is too small to call anybody, and that luck does not make it small."""

import numpy as np
import pytest
from monitored_world import POLICY, day

from flyball.monitoring import effects
from flyball.monitoring.drift import DriftState, judge
from flyball.monitoring.policy import INDIFFERENCE
from flyball.monitoring.reference import Reference, build
from flyball.monitoring.streams import Stream, bins_for_categories
from flyball.monitoring.window_counts import profile_of
from flyball.records.signature import Column, ColumnType, Signature

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
