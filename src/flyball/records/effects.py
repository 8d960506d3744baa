"""What an act of the autopilot was expected to bring, and what it brought."""

from datetime import datetime

import msgspec

from flyball.records.evidence import Evidence


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Of one act that changed the champion: the mean bounded loss of the new champion minus the old one's, on rows that both answered; of what
    their wrong answers cost where the threshold alone differs."""

    release: str
    decision: str
    action: str
    """Its kind: `retrain`, …"""
    new: str
    """Unit."""
    old: str
    at: datetime
    """When it took effect: all gateways were seen to serve it."""
    predicted: Evidence
    """From rows before it took effect; a value of None: nothing was foretold, and `note` says why."""
    degrees: int = 0
    """Of freedom, of the prediction's error; 0: it is taken as known."""
    realised: Evidence | None = None
    """From rows after it took effect; None: not measured yet. A value of None: it cannot be."""
    old_loss: float | None = None
    """Mean bounded loss (or cost) of the old champion on the rows that realised it: what is brought is relative to it. None: not measured, or by an earlier Flyball."""
    expected: tuple[float, float] | None = None
    """Where the realised mean was to lie, with the prediction's `alpha` of missing; None: it is not known yet, or nothing was foretold."""
    words: str = ""
    """What came of it; empty: not known yet."""

    @property
    def missed(self) -> bool | None:
        """None: nothing to be compared."""
        value = None if self.realised is None else self.realised.value
        return None if self.expected is None or value is None else not self.expected[0] <= value <= self.expected[1]

    @property
    def harmed(self) -> bool:
        """Whatever was foretold: the whole interval of what it brought lies on the bad side of nothing."""
        return self.realised is not None and self.realised.lower is not None and self.realised.lower > 0.0

    @property
    def worse(self) -> bool:
        """It missed on the bad side, or did harm: what was foretold with a wide interval forbids nothing."""
        value = None if self.realised is None else self.realised.value
        return self.harmed or (self.expected is not None and value is not None and value > self.expected[1])

    @property
    def untold(self) -> bool:
        """It came as foretold, and would have if it had brought nothing, or the opposite: neither interval is narrow enough to tell."""
        found = self.realised
        if self.missed is not False or self.expected is None or found is None or found.lower is None or found.upper is None:
            return False
        return self.expected[0] < 0.0 < self.expected[1] and found.lower < 0.0 < found.upper


class EffectTrack(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of action: whether what was foretold came true, and whether it did harm."""

    judged: int = 0
    """Measured, with an interval."""
    unforetold: int = 0
    """Of those: nothing was foretold, so nothing but harm can be told."""
    missed: int = 0
    """On either side."""
    worse: int = 0
    """Missed on the bad side, or did harm."""
    harmed: int = 0
    detectors: tuple[float, ...] = ()
    """Of `worse`, since the level last fell or was raised; empty: begun anew."""
