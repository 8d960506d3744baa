"""How long labels are waited for: by what is declared, or by what is known."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flyball.control import forgetting
from flyball.control.observe import micros_of
from flyball.control.patience import for_few, last_call, least, patience
from flyball.control.world import micros
from flyball.monitoring.delays import Curve, Delays, Part
from flyball.monitoring.policy import MonitorPolicy
from flyball.records.findings import WindowSummary
from flyball.stats.age_grid import EDGES_US

DAY = timedelta(days=1)
POLICY = MonitorPolicy(window=DAY, budget_windows=90, min_rows=50, mature_share=0.95, label_delay=None, tolerance=0.01)
NOTHING = Delays(
    until_us=0, rows=0, labels=0, reach=0, come=Curve(n=0, share=(0.0,), lower=(0.0,), upper=(1.0,)), by_score=(), parts=(), tail=1.0, correlation=0.0
)  # fmt: skip


@pytest.mark.parametrize(
    ("window", "declared", "days"),
    [(1, None, 90), (1 / 24, None, 90), (7, None, 630), (1, 30, 120), (1 / 24, 30, 120)],
)
def test_it_is_ninety_windows_and_ninety_days_at_least(window: float, declared: int | None, days: int) -> None:
    policy = msgspec.structs.replace(POLICY, window=window * DAY, label_delay=None if declared is None else declared * DAY)
    assert patience(policy, NOTHING if declared is None else None) == days * DAY


def test_it_grows_with_the_ages_at_which_labels_are_known_to_come() -> None:
    ages = [timedelta(microseconds=edge) for edge in EDGES_US]
    waited = [patience(POLICY, msgspec.structs.replace(NOTHING, reach=reach)) for reach in range(len(EDGES_US))]
    assert all(wait == max(90 * DAY, min(2 * age, ages[-1])) for wait, age in zip(waited, ages, strict=True))
    assert waited[-1] > 360 * DAY


@pytest.mark.parametrize(("window", "declared", "days"), [(1, 7, 9), (1 / 24, 7, 9), (7, 30, 37)])
def test_few_labels_are_not_waited_for_until_they_would_be_given_up(window: float, declared: int, days: int) -> None:
    assert for_few(msgspec.structs.replace(POLICY, window=window * DAY, label_delay=declared * DAY)) == days * DAY


def test_where_a_delay_is_learned_few_labels_and_late_ones_are_waited_for_beyond_it() -> None:
    curve = Curve(n=100, share=(0.0,) * 50 + (1.0,), lower=(0.0,) * 50 + (1.0,), upper=(1.0,) * 51)
    known = msgspec.structs.replace(NOTHING, reach=50, parts=(Part(label=-1, score=-1, curve=curve),))
    age = timedelta(microseconds=EDGES_US[50])
    assert for_few(POLICY, known) == age + 2 * DAY
    start = datetime(2026, 1, 1, tzinfo=UTC)
    judged = WindowSummary(model="shop", unit="u1", start=start, end=start + DAY, predictions=9, labels=9, mature=False)
    assert last_call(judged, POLICY, None, known) == judged.end + patience(POLICY, known)
    assert patience(POLICY, known) > least(POLICY)


@pytest.mark.parametrize(("window", "keep"), [(1, 30), (1, 3), (1 / 24, 30), (7, 365), (1, 80)])
def test_the_last_call_of_labels_comes_before_the_rows_are_forgotten(window: float, keep: int) -> None:
    """As the horizon is reckoned, from the end of the newest window."""
    policy = msgspec.structs.replace(POLICY, window=window * DAY, label_delay=DAY)
    width_us, keep_us = micros_of(window * DAY), micros_of(keep * DAY)
    step = forgetting.step_us(width_us, keep_us)
    for place in range(40):
        start = datetime(2026, 11, 27, tzinfo=UTC) + place * window * DAY
        judged = WindowSummary(
            model="shop", unit="u1", start=start, end=start + window * DAY, predictions=9, labels=9, mature=False
        )
        assert last_call(judged, policy, None) == judged.end + least(policy)
        called = micros(last_call(judged, policy, keep * DAY))
        forgotten = next(
            at for at in range(micros(judged.end), 1 << 62, width_us) if (at - keep_us) // step * step > micros(start)
        )
        assert called <= forgotten - step
