"""What a plan is made from."""

from datetime import datetime
from typing import Any

import msgspec

from flyball.autopilot.breaker import ChampionMove, EndedAct
from flyball.autopilot.worth import Worth
from flyball.records.bounds import Breaker
from flyball.records.findings import FindingKind, IncidentKind


class PastAction(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy did. One entry per planned action: an `ask` that was approved and carried out is entered once."""

    policy: str
    action: str
    """`retrain`, `roll_back`, `notify`, `ask`, `observe`, …; never `nothing`."""
    at: datetime
    """Of a question: when it was asked, and once a person has agreed, when that was seen."""
    incidents: tuple[int, ...] = ()
    """That it was done for, by the numbers that they had then: of findings, which are in whatever the incidents have become since."""
    agreed: bool = False
    """Of a question: a person said yes."""

    @property
    def only_asked(self) -> bool:
        return self.action == "ask" and not self.agreed


class OpenIncident(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    standing: tuple[FindingKind, ...]
    """Kinds of its findings that stand."""
    kind: IncidentKind = IncidentKind.UNKNOWN
    """What it is taken for."""
    findings: tuple[int, ...] = ()
    """Numbers of all of them; empty: a Flyball wrote it that did not say."""
    of_few: bool = False
    """A fault of requests that are refused, and few: the rows that are answered may be learned."""

    @property
    def numbers(self) -> frozenset[int]:
        """That it has, or had before it grew together with another."""
        return frozenset({self.number, *self.findings})

    @property
    def about(self) -> frozenset[str]:
        """What conditions can be about: its findings' kinds, and its own."""
        return frozenset({*self.standing, self.kind})


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What `worth.assess` said of a tournament that trains, at a window's end."""

    words: str
    gain: tuple[float, float, float] | None = None
    """Expected, and the ends of its interval, relative to the champion's loss; None: none was worked out."""


def foreseen(worth: Worth | None) -> Foreseen | None:
    """None: it cannot be told."""
    if worth is None:
        return None
    known = worth.reason not in ("fault", "no_windows")
    return Foreseen(words=worth.words, gain=(worth.gain, worth.lower, worth.upper) if known else None)


class AutopilotSituation(msgspec.Struct, frozen=True, kw_only=True):
    signals_by_window: tuple[dict[str, Any], ...]
    """`signals.gather` at each window's end since the champion took over, newest last."""
    busy: str | None
    """Id of the running job or release; None: none."""
    past: tuple[PastAction, ...]
    open_approvals: tuple[str, ...] = ()
    """Policies whose question has no answer yet, as a Flyball wrote them that did not say which."""
    open_questions: dict[str, str] = {}
    """Policy → its question that has no answer yet, as `flyball approve` calls it."""
    champion: str | None
    """Unit id; None: nothing serves, so nothing is decided."""
    previous_champion: str | None
    """Last verified unit before it."""
    breaker: Breaker | None = None
    """As it was last opened; None: never."""
    ended: tuple[EndedAct, ...] = ()
    moves: tuple[ChampionMove, ...] = ()
    """Both since the breaker was last closed, oldest first."""
    most: dict[str, str] = {}
    """Kind of action → level that it fell to."""
    incidents: tuple[OpenIncident, ...] = ()
    earlier: tuple[str, ...] = ()
    """Units that answer otherwise than the champion, newest last: verified ones, and settled ones that a policy rolled back."""
    changed_since: datetime | None = None
    """When the change began of which the newest finding of the model tells, or the rise of the loss; None: nothing says."""
    data_faults: tuple[int, ...] = ()
    """Numbers of the findings that say that the data are faulty, as far as they stand."""
    stopped_since: datetime | None = None
    """None: the champion answers."""
    foreseen: Foreseen | None = None
    """At the newest window's end; None: nothing is known of how the champion was made, or a Flyball wrote it that did not keep it."""
