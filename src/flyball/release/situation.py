"""All of a release that is judged at one look."""

from typing import Literal

import msgspec

from flyball.records.evidence import Evidence
from flyball.records.release import ReleaseState, Replayed
from flyball.release.bandit import RewardSeen


class ReleaseSituation(msgspec.Struct, frozen=True, kw_only=True):
    """What `decide` is told: nothing else is read."""

    release: ReleaseState
    requests_in_phase: int
    """Rows that the challenger scored in this phase and step; 0 before every gateway was seen to serve it."""
    labels: int
    """Rows with a mature label and both scores, since the release opened."""
    evidence: tuple[Evidence, ...]
    """One of each guard that can be measured in this phase, whenever there is a champion to compare with: also before every gateway is seen to serve it."""
    switch: Literal["verified", "pending", "failed"]
    """Whether all gateways are seen to serve this phase; `failed`: it was tried long enough, or one says that it cannot."""
    approval: Literal["none", "open", "approved", "refused"] = "none"
    """Of this release's `ask`, as it would be asked now."""
    rules: str = ""
    """Digest of the policy, to which a question is bound; empty: nobody is asked, or by a Flyball that did not bind it."""
    replayed: Replayed | None = None
    """What it said to captured requests; None: they were not asked yet, or are not to be."""
    rewards: tuple[RewardSeen, ...] = ()
    """Of champion and challenger, where a bandit divides the traffic."""
    tripped: str = ""
    """How it fails, while a gateway leaves the challenger alone because it fails again and again, and the unit before does not; empty: none does."""
    unripe: str = ""
    """Why it is not known yet from which age on rows count, so that no label or reward can make a guard pass; empty: it is."""
    blind: bool = False
    """What gateways captured could not be read whole at this look, and could lately: that something is missing says nothing."""
    withheld: bool = False
    """A gateway holds the canary at 0, so that its step is not seen to be served."""
