"""How long labels take: what is declared, or else what is learned of those that came."""

from functools import partial

from flyball.capture.join import LabelJoin
from flyball.control.world import MICROSECOND
from flyball.monitoring import delays
from flyball.monitoring.delays import Delays
from flyball.spec import ProjectSpec


class LabelDelay:
    def __init__(self, spec: ProjectSpec, windows: int) -> None:
        self._spec = spec
        self.windows = windows
        """That have closed."""
        self._known: tuple[int, Delays] | None = None
        """(windows closed when it was learned, the delay): learned once a window, not once a tick; while nothing is known, at every look."""

    def learned(self, join: LabelJoin, now_us: int) -> Delays:
        """`now_us`: what was received by then is in the join."""
        if self._known is None or self._known[0] != self.windows or self._known[1].reach == 0:
            counts = join.label_ages(now_us - delays.LOOK_BACK_US, together=partial(delays.together, now_us=now_us))
            self._known = self.windows, delays.learn(counts, now_us)
        return self._known[1]

    def ripe_us(self, join: LabelJoin, now_us: int) -> int:
        """The age from which rows count: declared, or that at which nearly all labels have come. Labels that come sooner are of another kind (a flight that
        never arrives is known last)."""
        if self._spec.data.label_delay is not None:
            return self._spec.data.label_delay // MICROSECOND
        return delays.usual_age(self.learned(join, now_us), self._spec.monitor.mature_share) or 0
