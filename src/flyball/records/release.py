"""The state of a release: the progressive change of champion."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from flyball.records.evidence import Evidence, Outcome


class Phase(StrEnum):
    PROPOSED = "proposed"
    SHADOW = "shadow"
    CANARY = "canary"
    FULL = "full"
    WATCHING = "watching"
    SETTLED = "settled"
    HELD = "held"
    """Stopped by a person or by missing approval; the champion is unchanged."""
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


TERMINAL = frozenset({Phase.SETTLED, Phase.ROLLED_BACK})


class ReleaseState(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """`r-` + four digits."""
    model: str
    challenger: str
    """Unit id."""
    champion: str | None
    """Unit id at the start, and where a rollback goes; None: the first release of a model."""
    phase: Phase
    step: int = 0
    """Index into the canary steps while in `canary`."""
    opened_at: datetime
    entered_at: datetime
    """When this phase (and step) was decided."""
    verified_at: datetime | None = None
    """When all gateways were seen to serve this phase; a phase's clock starts here."""
    cause: str = ""
    """Decision id, or `user:NAME`."""
    job: str = ""
    """Whose result it releases; empty: nobody's (a rollback), or a Flyball opened it that did not say."""
    reason: str = ""
    """Why it is in this phase, in words."""
    passed: tuple[str, ...] = ()
    """Guards that passed at some look: a sequence that holds at all looks together does not take a pass back. Harm that is shown later still counts."""
    rules: str = ""
    """Digest of the guards' rules under which those passed: by other rules they have not."""
    weight: float | None = None
    """The challenger's share of the keys where it moves within a step (bandit); None: the step's own."""
    weighed_at: datetime | None = None
    starts: int = 0
    """How often a person let it start again: what was agreed to before does not count any more."""
    ripe_us: int | None = None
    """From which age on its rows count, as it was known first; None: it is not known yet."""
    superseded: bool = False
    """A first release that gave way to a newer version before any gateway served it: nothing speaks against its unit."""
    began_young: bool = False
    """It was looked at before that was known, or by another age: what is looked at since is a sequence of its own."""
    unwatched: timedelta = timedelta(0)
    """Of this phase so far, in which no controller looked after it: it counts neither as served nor as waited."""
    withheld: timedelta = timedelta(0)
    """Of this step so far, in which it was looked after and gateways held the canary at 0: it counts neither as served nor, up to `at_most`, as waited."""


class ReleaseLook(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a release at one look. Kept when something was new in it, so that a report can show how each interval narrowed."""

    release: str
    at: datetime
    phase: Phase
    step: int
    evidence: tuple[Evidence, ...]
    outcomes: dict[str, Outcome]
    """Guard → verdict."""
    words: str
    """What it waits for, or what was done."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a challenger said to requests that the champion had answered, before it saw a live one."""

    release: str
    at: datetime
    rows: int
    evidence: tuple[Evidence, ...]
    words: str


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """A rollback that was rehearsed: the unit that it would go to, loaded by every gateway while the champion went on answering."""

    id: str
    """`drill-` + four digits."""
    champion: str
    unit: str
    opened_at: datetime
    loaded_at: datetime | None = None
    """Every gateway was seen to hold its bytes."""
    ended_at: datetime | None = None
    outcome: str = ""
    """`passed`, `failed`, `interrupted` (a release began); empty: it goes on."""
    words: str = ""
    cause: str = ""
    """`user:NAME`, or `schedule`."""


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers production traffic for a model, and who did before."""

    model: str
    unit: str
    since: datetime
    release: str
    verified: tuple[str, ...] = ()
    """Unit ids that served as champion, were seen at the gateways and were not rolled back, oldest first; a rollback goes to the last one before `unit`."""
