"""The breaker of the loop: what was done failed time and again, or the champion goes to and fro. Then a person must look."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from typing import NamedTuple

import msgspec

from flyball.spec.fields import format_duration

GUARDS = "release"
"""Who moved the champion: the guards of a release."""
PERSON = ""


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    failures: int = 3
    flip_flops: int = 2
    within: timedelta = timedelta(days=30)
    """Of flip-flops: how long one may take, and how far back they count."""


class EndedAct(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a challenger that a policy had made. One that is still on its way, or that changed nothing, is not entered."""

    action: str
    at: datetime
    """When it was begun."""
    failed: bool
    words: str


class ChampionMove(msgspec.Struct, frozen=True, kw_only=True):
    """The champion changed hands, as seen at the gateways."""

    at: datetime
    before: str
    after: str
    by: str
    """Action of a policy (`retrain`, `roll_back`), GUARDS, or PERSON."""


class Trip(NamedTuple):
    """Why the breaker has to open."""

    words: str
    actions: tuple[str, ...]
    """Kinds of action that it opens for."""


def trip(ended: tuple[EndedAct, ...], moves: tuple[ChampionMove, ...], policy: BreakerPolicy, now: datetime) -> Trip | None:
    """None: it need not open. Both oldest first, and begun since the breaker was last closed."""
    in_a_row = tuple(takewhile(lambda act: act.failed, reversed(ended)))[::-1]
    if len(in_a_row) >= policy.failures:
        told = ", ".join(act.words for act in in_a_row[-policy.failures :])
        return Trip(f"{_times(len(in_a_row), 'action')} failed in a row: {told}", _kinds(act.action for act in in_a_row))
    back = [pair for pair in pairwise(moves) if _is_flip_flop(*pair, policy.within) and pair[1].at > now - policy.within]
    if len(back) < policy.flip_flops:
        return None
    told = ", ".join(f"{away.before} → {away.after} → {home.after} on {home.at:%Y-%m-%d}" for away, home in back)
    words = f"the champion went to and fro {_times(len(back), 'time')} within {format_duration(policy.within)}: {told}"
    return Trip(words, _kinds(move.by for pair in back for move in pair))


def _is_flip_flop(away: ChampionMove, home: ChampionMove, within: timedelta) -> bool:
    """A → B → A, by nobody's hand, and the autopilot had part in it: guards alone take back what a person released."""
    by = {away.by, home.by}
    return (
        away.before == home.after
        and away.after == home.before
        and home.at - away.at <= within
        and PERSON not in by
        and by != {GUARDS}
    )


def _kinds(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*found} - {GUARDS}))


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
