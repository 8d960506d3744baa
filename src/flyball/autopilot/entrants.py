"""Strategies made concrete: what may be tried against the champion, for a kind of incident and the rows there are."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from flyball.records.findings import IncidentKind
from flyball.spec.fields import format_duration

FORGET = 4
"""A recent window holds the newest quarter of the history, and weights halve over as much: twice more or less changes little (bench/loop)."""
LEAST_ROWS = 60
"""Labelled rows below which nothing is fitted: a boosted tree of scikit-learn splits no leaf of fewer than 2 · 20."""


class Strategy(StrEnum):
    ALL = "all"
    """Retrain on all there is."""
    RECENT = "recent"
    """Retrain on a recent window."""
    SINCE = "since"
    """Retrain on the rows since the change."""
    WEIGHTED = "weighted"
    """Retrain on all rows, older ones weigh less."""
    RETUNE = "retune"
    """Retrain with parameters sought anew."""
    EARLIER = "earlier"
    """Reactivate an earlier verified unit."""
    RECALIBRATE = "recalibrate"
    """The champion's model with another rising map over its scores."""
    RETHRESHOLD = "rethreshold"


TRAINS = frozenset({Strategy.ALL, Strategy.RECENT, Strategy.SINCE, Strategy.WEIGHTED, Strategy.RETUNE})
"""What costs a training. The others cost answers only."""
MENDED_ELSEWHERE = frozenset({IncidentKind.DATA_FAULT, IncidentKind.INFRASTRUCTURE})
"""No model mends these: nothing is tried."""
NOT_THE_WORLD = frozenset({*MENDED_ELSEWHERE, IncidentKind.BAD_RELEASE})
"""The world did not move, so there is nothing new to learn: nothing is trained."""


class Entrant(msgspec.Struct, frozen=True, order=True):
    """`recent:60d`, `since:2013-06-01T00:00:00+00:00`, `weighted:60d` (half-life), `earlier:u0123`; `all`, `recalibrate` and others stand alone."""

    strategy: Strategy
    detail: str = ""

    @property
    def name(self) -> str:
        return f"{self.strategy}:{self.detail}" if self.detail else str(self.strategy)

    @property
    def trains(self) -> bool:
        return self.strategy in TRAINS


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled rows that an entrant may learn from: the newest, which judge it, are left out."""

    begin: datetime
    until: datetime
    rows: int
    change: datetime | None = None
    """Since when the champion's loss is another; None: nothing is known to have changed."""
    rows_since_change: int = 0
    earlier: tuple[str, ...] = ()
    """Verified units that may be reactivated, oldest first; the champion is not among them."""


def entrant_of(name: str) -> Entrant:
    """Raises ValueError for an unknown strategy.

    >>> entrant_of("recent:60d").strategy, entrant_of("all").detail
    (<Strategy.RECENT: 'recent'>, '')
    """
    strategy, _, detail = name.partition(":")
    try:
        return Entrant(Strategy(strategy), detail)
    except ValueError:
        raise ValueError(f"expected a strategy ({', '.join(Strategy)}), found {name!r}") from None


def possible(history: History, kind: IncidentKind | None, *, retunes: bool = False) -> tuple[Entrant, ...]:
    """Everything that could help; None: nothing happened, there are only more rows. What needs no training comes first. `retunes`: parameters may be sought anew.

    >>> from datetime import UTC
    >>> known = History(begin=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 3, 2, tzinfo=UTC), rows=6000, earlier=("u1",))
    >>> [entrant.name for entrant in possible(known, None)]
    ['recalibrate', 'earlier:u1', 'all', 'weighted:15d', 'recent:15d']
    >>> [entrant.name for entrant in possible(known, IncidentKind.BAD_RELEASE)]
    ['earlier:u1']
    """
    if kind in MENDED_ELSEWHERE:
        return ()
    earlier = tuple(Entrant(Strategy.EARLIER, unit) for unit in history.earlier)
    if kind in NOT_THE_WORLD:
        return earlier
    return (Entrant(Strategy.RECALIBRATE), *earlier, *_trained(history, retunes=retunes))


def _trained(history: History, *, retunes: bool) -> Iterable[Entrant]:
    if history.rows < LEAST_ROWS:
        return
    if retunes:
        yield Entrant(Strategy.RETUNE)
    span = _round((history.until - history.begin) / FORGET)
    yield Entrant(Strategy.ALL)
    if history.change is not None and history.rows_since_change >= LEAST_ROWS and history.change > history.begin:
        yield Entrant(Strategy.SINCE, history.change.isoformat())
    if history.rows >= FORGET * LEAST_ROWS:
        yield Entrant(Strategy.WEIGHTED, format_duration(span))
        yield Entrant(Strategy.RECENT, format_duration(span))


def _round(span: timedelta) -> timedelta:
    """To whole days, or hours where it is shorter than two: a name that people read."""
    unit = timedelta(days=1) if span >= timedelta(days=2) else timedelta(hours=1)
    return max(round(span / unit), 1) * unit
