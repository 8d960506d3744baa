"""How long labels take: what is declared, or else what is learned of those that came."""

from functools import partial
from typing import NamedTuple

from flyball.capture.join import LabelJoin
from flyball.control.world import MICROSECOND
from flyball.monitoring import delays
from flyball.monitoring.delays import Delays
from flyball.spec import ProjectSpec


class Ripe(NamedTuple):
    """From which age on rows count."""

    age_us: int
    unknown: str = ""
    """Why it cannot be told yet; empty: it is declared, or learned."""


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

    def ripe(self, join: LabelJoin, now_us: int) -> Ripe:
        """Declared, or the age at which nearly all labels have come. Labels that come sooner are of another kind (a flight that never arrives is known last)."""
        if self._spec.data.label_delay is not None:
            return Ripe(self._spec.data.label_delay // MICROSECOND)
        learned = self.learned(join, now_us)
        age_us = delays.usual_age(learned, self._spec.monitor.mature_share)
        return Ripe(0, learned.words) if age_us is None else Ripe(age_us)

    def ripe_us(self, join: LabelJoin, now_us: int) -> int:
        """0 while it is not known."""
        return self.ripe(join, now_us).age_us

    def has_nearly_all(self, join: LabelJoin, since_us: int, until_us: int) -> bool:
        """Whether so many of the rows answered in between have a label that the others cannot be of a kind that matters: where labels come at once, nobody
        has to wait until that is learned."""
        answered = join.answered(since_us, until_us)
        return answered > 0 and join.labelled(since_us, until_us) >= self._spec.monitor.mature_share * answered
