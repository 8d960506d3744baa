"""How long labels take: what is declared, or else what is learned of those that came."""

from functools import partial
from typing import NamedTuple

from flyball.capture.join import LabelJoin
from flyball.control.world import MICROSECOND
from flyball.monitoring import delays
from flyball.monitoring.delays import Delays
from flyball.release.policy import policy_of
from flyball.spec import ProjectSpec
from flyball.stats.age_grid import COHORT_US, EDGES_US, completed_bins


class Ripe(NamedTuple):
    """From which age on rows count."""

    age_us: int
    unknown: str = ""
    """Why it cannot be told yet; empty: it is declared, or learned."""


class LabelDelay:
    def __init__(self, spec: ProjectSpec, windows: int) -> None:
        self._spec = spec
        self._longest_us = policy_of(spec).longest_for_labels // MICROSECOND
        declared = spec.data.label_delay
        self.declared_us = None if declared is None else declared // MICROSECOND
        self.windows = windows
        """That have closed."""
        self._known: tuple[int, Delays] | None = None
        """(windows closed when it was learned, the delay): learned once a window, not once a tick; while nothing is known, at every look."""

    def learned(self, join: LabelJoin, now_us: int) -> Delays:
        """`now_us`: what was received by then is in the join."""
        if self._known is None or self._known[0] != self.windows or self._known[1].reach == 0:
            return self._learn(join, now_us)
        return self._known[1]

    def _learn(self, join: LabelJoin, now_us: int) -> Delays:
        counts = join.label_ages(now_us - delays.LOOK_BACK_US, together=partial(delays.together, now_us=now_us))
        found = delays.learn(counts, now_us)
        self._known = self.windows, found
        return found

    def ripe(self, join: LabelJoin, now_us: int) -> Ripe:
        """Declared, or the age at which nearly all labels have come. Labels that come sooner are of another kind (a flight that never arrives is known last).

        Of labels that came nobody can tell whether they were nearly all, or those that come first: that is known once nearly all rows have one, or ages are
        known as high as a release waits. What comes later than that comes too late for it, and where labels come for a part of the rows for good, that is all.
        """
        if self.declared_us is not None:
            return Ripe(self.declared_us)
        learned = self.learned(join, now_us)
        if not self._tells(learned) and now_us - learned.until_us >= COHORT_US:  # a window may be a month
            learned = self._learn(join, now_us)
        age_us = delays.usual_age(learned, self._spec.monitor.mature_share)
        if age_us is None:
            return Ripe(0, learned.words)
        return Ripe(age_us) if self._tells(learned) else Ripe(0, self._too_soon(learned))

    def _tells(self, learned: Delays) -> bool:
        return learned.ever >= self._spec.monitor.mature_share or learned.reach >= int(completed_bins(self._longest_us))

    def _too_soon(self, learned: Delays) -> str:
        """In words, how long it is not known yet, and what makes it known."""
        share, known = self._spec.monitor.mature_share, delays.duration(EDGES_US[learned.reach])
        told = f"{learned.ever:.1%} of the predictions have one by the age of {known}, which may be those that come first"
        return f"{told}: {share:.0%} must, or ages be known up to {delays.duration(self._longest_us)}, the longest that a release waits; data.label_delay tells it"

    def ripe_us(self, join: LabelJoin, now_us: int) -> int:
        """Declared, or by the labels that came so far; 0: there are too few."""
        if self.declared_us is not None:
            return self.declared_us
        return delays.usual_age(self.learned(join, now_us), self._spec.monitor.mature_share) or 0

    def has_nearly_all(self, join: LabelJoin, since_us: int, until_us: int) -> bool:
        """Whether so many of the rows answered in between have a label that the others cannot be of a kind that matters: where labels come at once, nobody
        has to wait until that is learned."""
        answered = join.answered(since_us, until_us)
        return answered > 0 and join.labelled(since_us, until_us) >= self._spec.monitor.mature_share * answered
