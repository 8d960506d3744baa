"""How long a window's labels are waited for, and what is said of it when they are waited for no longer."""

from datetime import timedelta

import msgspec

from flyball.control.world import MICROSECOND
from flyball.monitoring.delays import Delays
from flyball.monitoring.policy import MonitorPolicy
from flyball.records.findings import WindowSummary
from flyball.stats.age_grid import EDGES_US

LEAST_WINDOWS = 90
LEAST = timedelta(days=90)
"""Beyond a declared delay, or without one. How late labels come does not hang on the length of windows: those of an hour are waited for no less than those
of a day."""
TIMES_KNOWN = 2
"""The largest age at which labels are known to come: where they take long, there is more to wait for."""
MOST = EDGES_US[-1] * MICROSECOND
"""Of what is learned: nothing is known of labels that are older."""


def least(policy: MonitorPolicy) -> timedelta:
    """From a window's end on."""
    return (policy.label_delay or timedelta()) + max(LEAST_WINDOWS * policy.window, LEAST)


def patience(policy: MonitorPolicy, known: Delays | None) -> timedelta:
    """From a window's end on. `known`: the learned delay, where none is declared."""
    learned = timedelta() if known is None else EDGES_US[known.reach] * MICROSECOND
    return max(least(policy), min(TIMES_KNOWN * learned, MOST))


def given_up(window: WindowSummary, labels: int, waited: timedelta) -> WindowSummary:
    """`labels`: of its predictions, whoever answered."""
    words = f"given up: within {waited.days} days of its end {labels} of {window.predictions} predictions got a label"
    hint = "where labels take longer, data.label_delay says so"
    return msgspec.structs.replace(window, labels=labels, given_up=True, labels_note=f"{words}; {hint}")
