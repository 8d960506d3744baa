"""What the monitors are allowed: windows, the false-alarm budget, when labels count."""

from datetime import timedelta

import msgspec

from flyball.spec import ProjectSpec

DRIFT_SHARE = 0.5
"""Half of the false-alarm budget belongs to drift (features and predictions together), half to harm."""


class MonitorPolicy(msgspec.Struct, frozen=True, kw_only=True):
    window: timedelta
    budget_windows: float
    """One false alarm in so many windows, all monitors of a model together."""
    min_rows: int
    """A window with fewer rows is shown and not tested."""
    mature_share: float
    label_delay: timedelta | None
    """None: a window is mature by its share of labels alone."""
    tolerance: float
    """Increase of the mean bounded loss that is not worth an alarm."""

    @property
    def drift_run_length(self) -> float:
        """Windows: the least average run length of all drift detectors together."""
        return self.budget_windows / DRIFT_SHARE

    @property
    def harm_run_length(self) -> float:
        return self.budget_windows / (1.0 - DRIFT_SHARE)


def policy_of(spec: ProjectSpec) -> MonitorPolicy:
    """What flyball.yaml says of monitoring."""
    monitor = spec.monitor
    return MonitorPolicy(
        window=monitor.window,
        budget_windows=monitor.false_alarms.windows,
        min_rows=monitor.min_rows,
        mature_share=monitor.mature_share,
        label_delay=spec.data.label_delay,
        tolerance=monitor.tolerance,
    )
