"""A tournament: what was tried beside the champion, how it did on the newest mature rows, and who goes on to a release."""

from datetime import datetime

import msgspec

from flyball.records.evidence import Evidence
from flyball.records.findings import IncidentKind
from flyball.records.maps import AnswerMap


class TournamentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a job is to try: `overrides["tournament"]`."""

    champion: str
    """Unit id: it is judged against this one and no other."""
    strategies: tuple[str, ...]
    """Of spec/policies.py; what each means for these rows, the job finds."""
    chosen: bool = False
    """Somebody named them: all are tried. Otherwise those that helped before, and few that must be trained."""
    earlier: tuple[str, ...] = ()
    """Verified units, oldest first."""
    since: datetime | None = None
    """When what is to be mended began; None: unknown."""
    judged_from: dict[str, datetime] = {}
    """Entrant (`earlier:UNIT`, `recalibrate`, `rethreshold`) → when a release took back what it would be or was: later rows alone judge it."""
    kind: IncidentKind | None = None
    """Of what is to be mended; None: nothing has happened, there are only more rows."""
    growth: float = 0.0
    """Doublings of the labelled rows since somebody was last trained."""
    excess: float = 0.0
    """The champion's relative rise in loss; 0: none is seen."""
    rows_since: int = 0
    """Labelled rows of the champion since then."""


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """One who was to compete with the champion."""

    name: str
    """`all`, `recent:60d`, `since:2026-03-01T00:00:00+00:00`, `weighted:60d` (half-life), `retune`, `earlier:u0123…`, `recalibrate`, `rethreshold`."""
    fitted: bool
    """A model was trained for it, which becomes a version if it wins; otherwise it is a unit of a version that is there."""
    gain: Evidence | None = None
    """What the champion lost a row less what it lost itself: `loss_gain` of the bounded loss; `cost_gain` of a threshold, of wrong answers at the costs that
    `serve.threshold` means. None: it did not compete, and `words` say why."""
    relative: float = 0.0
    """The gain over what the champion lost on the newest window."""
    error: float = 0.0
    """Standard error of `relative`."""
    windows: int = 0
    """That its interval is of."""
    spread_of: int | None = None
    """Windows by which it is known how much they differ; 0: too few, so that what differs from day to day is not in its interval. None: judged by a Flyball that
    did not say."""
    minutes: float = 0.0
    """That its training took where it was really done, which may have been for another run; 0: it needed none."""
    words: str = ""
    crashed: bool = False
    """Its training ended in an error of the user's code: `words`."""
    calibration: AnswerMap | None = None
    threshold: float | None = None
    """Both: of the unit that it would be, where they are other than the champion's."""


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody who was to compete, as the job has measured them."""

    champion: str
    """Unit id."""
    champion_loss: float
    """Mean bounded loss on the newest window that judged."""
    rows: int
    """The newest mature ones, which nobody learned from who was trained for it: they judge, and older ones judge who was not."""
    since: datetime
    until: datetime
    alpha: float
    """Chance that somebody is called better though nobody is, over all entrants."""
    entrants: tuple[Entrant, ...]


class Tournament(msgspec.Struct, frozen=True, kw_only=True):
    """One that is over."""

    job: str
    decision: str
    """Which named the winner, or nobody."""
    cause: str
    """Decision id, or `user:NAME`: who asked for it."""
    model: str
    at: datetime
    standings: Standings
    kind: IncidentKind | None = None
    growth: float = 0.0
    excess: float = 0.0
    rows_since: int = 0
    """These four as in its order."""
    winner: str | None
    """Name of an entrant; None: nobody is shown to be better."""
    unit: str | None = None
    """Unit that goes to release; None where a version must pass its gates first, or nobody won."""
    words: str
    void: bool = False
    """Who was judged beside everybody was champion no more when it was over: nobody could win."""
    realised: float | None = None
    """Relative gain that was measured after the winner took over; None: not known (yet). Never stored: read from the effects."""
    in_vain: bool = False
    """The winner came to nothing: it failed, its gate refused it, no release was opened for it, or it was taken back. Never stored: read from its job and its
    release."""
