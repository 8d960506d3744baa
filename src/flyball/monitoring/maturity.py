"""When a window's labels are enough to be judged by."""

from datetime import datetime

from flyball.monitoring.policy import MonitorPolicy


def is_mature(predictions: int, labels: int, window_end: datetime, now: datetime, policy: MonitorPolicy) -> bool:
    """Whether the labels that will come have come: the window is over, and all are here, or the label delay has passed since its end.

    Early labels are not a sample of all labels (a flight that never arrives is labelled last), so an immature window is never compared with anything.
    Only where no delay is declared a share of them has to do. A window without any label is never mature: there is nothing to judge.
    """
    if predictions <= 0 or labels <= 0 or now < window_end:
        return False
    if policy.label_delay is None:
        return labels >= policy.mature_share * predictions
    return labels >= predictions or now >= window_end + policy.label_delay
