"""What one monitor may spend of a model's false-alarm budget, and what is too small for it to judge."""

import msgspec

from flyball.monitoring.policy import MonitorPolicy


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    run_length: float
    """Windows: the least mean number between false alarms of this monitor."""
    share: float
    """Of the model's budget, told in its findings."""
    min_rows: int
    """A window with fewer labelled rows is shown and not tested."""
    tolerance: float
    """Increase of the mean bounded loss that nobody is called for."""


def allowance_of(policy: MonitorPolicy, monitors: str, part: float) -> Allowance:
    """A part of what belongs to these monitors: `concept` is divided between labels (monitoring/concept.py) and slices (monitoring/slice_watch.py)."""
    return Allowance(
        run_length=policy.run_length(monitors) / part,
        share=policy.share(monitors) * part,
        min_rows=policy.min_rows,
        tolerance=policy.tolerance,
    )
