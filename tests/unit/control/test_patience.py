"""How long labels are waited for: by what is declared, or by what is known."""

from datetime import timedelta

import msgspec
import pytest

from flyball.control.patience import patience
from flyball.monitoring.delays import Curve, Delays
from flyball.monitoring.policy import MonitorPolicy
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
