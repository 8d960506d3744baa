from datetime import timedelta

import msgspec
import pytest
from monitored_world import POLICY, START

from flyball.monitoring.maturity import is_mature

END = START + timedelta(days=1)


@pytest.mark.parametrize(
    ("predictions", "labels", "after_days", "mature"),
    [
        (100, 100, 0, True),
        (100, 99, 0, False),  # early labels are no sample of all, however many they are
        (100, 99, 2.9, False),
        (100, 94, 3, True),
        (100, 1, 3, True),
        (100, 0, 9, False),
        (0, 0, 9, False),
        (100, 100, -0.5, False),
    ],
)
def test_a_window_is_mature_with_all_labels_or_after_the_delay_and_never_without_labels(predictions, labels, after_days, mature):
    assert is_mature(predictions, labels, END, END + timedelta(days=after_days), POLICY) is mature


def test_without_a_label_delay_only_the_share_counts():
    policy = msgspec.structs.replace(POLICY, label_delay=None)
    assert not is_mature(100, 94, END, END + timedelta(days=365), policy)
    assert is_mature(100, 95, END, END, policy)
