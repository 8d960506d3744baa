"""How long a window's labels are waited for, and what is said of it when they are waited for no longer."""

from datetime import datetime, timedelta

import msgspec

from flyball.control.forgetting import step_us
from flyball.control.observe import micros_of
from flyball.control.world import MICROSECOND
from flyball.monitoring.delays import Delays
from flyball.monitoring.maturity import delay_of
from flyball.monitoring.policy import MonitorPolicy
from flyball.records.findings import WindowSummary
from flyball.stats.age_grid import EDGES_US

LEAST_WINDOWS = 90
LEAST = timedelta(days=90)
"""Beyond a declared delay, or without one. How late labels come does not hang on the length of windows: those of an hour are waited for no less than those
of a day."""
TIMES_KNOWN = 2
"""The largest age at which labels are known to come: where they take long, there is more to wait for."""
FEW = timedelta(days=2)
"""Beyond the delay, declared or learned, or a window's length where that is more: so long a window of fewer labels than are tested waits for others, whether some
come or not. Where so few are labelled for good none would ever be judged otherwise."""
MOST = EDGES_US[-1] * MICROSECOND
"""Of what is learned: nothing is known of labels that are older."""


def least(policy: MonitorPolicy) -> timedelta:
    """From a window's end on."""
    return (policy.label_delay or timedelta()) + max(LEAST_WINDOWS * policy.window, LEAST)


def patience(policy: MonitorPolicy, known: Delays | None) -> timedelta:
    """From a window's end on. `known`: the learned delay, where none is declared."""
    learned = timedelta() if known is None else EDGES_US[known.reach] * MICROSECOND
    return max(least(policy), min(TIMES_KNOWN * learned, MOST))


def for_few(policy: MonitorPolicy, known: Delays | None = None) -> timedelta:
    """From a window's end on: fewer labels than are tested have to do then, unless more are just coming."""
    return delay_of(policy, known) + max(policy.window, FEW)


def last_call(window: WindowSummary, policy: MonitorPolicy, keep: timedelta | None, known: Delays | None = None) -> datetime:
    """From when on what is here has to do, though labels still come: the window would be given up, or with `capture.keep` its rows be forgotten. Those one step
    of the horizon earlier: so that there is a look before."""
    given_up = window.end + patience(policy, known)
    if keep is None:
        return given_up
    step = step_us(micros_of(policy.window), micros_of(keep)) * MICROSECOND
    return min(given_up, window.start + keep - step)


def given_up(window: WindowSummary, labels: int, waited: timedelta) -> WindowSummary:
    """`labels`: of its predictions, whoever answered."""
    words = f"given up: within {waited.days} days of its end {labels} of {window.predictions} predictions got a label"
    hint = "where labels take longer, data.label_delay says so"
    return msgspec.structs.replace(window, labels=labels, given_up=True, labels_note=f"{words}; {hint}")
