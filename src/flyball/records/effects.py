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
    def worse(self) -> bool:
        """It missed on the bad side."""
        value = None if self.realised is None else self.realised.value
        return self.expected is not None and value is not None and value > self.expected[1]


class EffectTrack(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of action: whether what was foretold came true."""

    judged: int = 0
    missed: int = 0
    """On either side."""
    worse: int = 0
    detectors: tuple[float, ...] = ()
    """Of misses on the bad side, since the level last fell or was raised; empty: begun anew."""
