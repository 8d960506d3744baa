"""What the monitors are allowed: windows, the false-alarm budget, when labels count."""

from datetime import timedelta
from types import MappingProxyType

import msgspec

from flyball.spec import ProjectSpec

SHARES = MappingProxyType({"drift": 0.4, "performance": 0.2, "concept": 0.2, "estimates": 0.1, "operations": 0.1})
"""Of the one false-alarm budget: what belongs to which monitors. Most to what has most streams, and to what costs most while it waits."""
DRIFT_SHARE = SHARES["drift"]


INDIFFERENCE = 0.005
"""Share of rows: what surely moved less is no alarm, however many rows prove it. Half a row in a hundred; a tenth of a standard deviation moves four."""


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
    drift_share: float = DRIFT_SHARE
    """Of the budget: what drift has; 1 where nothing else looks."""
    indifference: float = INDIFFERENCE
    """Share of rows: what surely moved less is no alarm of drift."""
    slices: tuple[tuple[str, str], ...] = ()
    """Declared ones: name, condition in CEL over features."""

    def share(self, monitors: str) -> float:
        return self.drift_share if monitors == "drift" else SHARES[monitors]

    def run_length(self, monitors: str) -> float:
        """Windows: the least average run length of these monitors together."""
        return self.budget_windows / self.share(monitors)

    @property
    def drift_run_length(self) -> float:
        return self.run_length("drift")

    @property
    def harm_run_length(self) -> float:
        return self.run_length("performance")


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
        slices=tuple((each.name, each.where) for each in monitor.slices),
    )
