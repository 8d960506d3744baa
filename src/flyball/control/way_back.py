"""The way back of a release that has all traffic, where the unit before it has lost its package."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from flyball.control.units import UnitShelf
from flyball.control.world import World
from flyball.errors import Conflict, TrackingFailed
from flyball.records.decisions import Action
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.release import Champion, Phase, ReleaseState

ALL_TRAFFIC = frozenset({Phase.FULL, Phase.WATCHING})


def is_lost(shelf: UnitShelf, unit: str) -> bool:
    """It is known that its bytes are not whole: of a registry that does not answer nothing is."""
    try:
        return not shelf.holds(unit)
    except TrackingFailed:
        return False


def turned(release: ReleaseState, whole: Sequence[str], why: str) -> ReleaseState | None:
    """The release with another unit to go back to, the newest of those that are `whole`, and with why it goes back, and goes elsewhere. None: there is none."""
    others = [unit for unit in whole if unit not in {release.challenger, release.champion}]
    if not others:
        return None
    words = f"{why.rstrip('.')}; it goes to {others[-1]}: the package of {release.champion} is not whole"
    return msgspec.structs.replace(release, champion=others[-1], verified_at=None, reason=words)


def is_out_of_reach(world: World, shelf: UnitShelf, release: ReleaseState) -> bool:
    """What a release that had all traffic goes back to, since its package is lost. Elsewhere its champion answers on from the gateways' memory."""
    champion = world.get("champion", world.model, Champion)
    if champion is None or release.champion is None or not is_lost(shelf, release.champion):
        return False
    return champion.unit == release.challenger or _had_all_traffic(world, release)


def _had_all_traffic(world: World, release: ReleaseState) -> bool:
    """Though not all gateways were seen to have taken it."""
    events = world.ports.ledger.events
    opened = events(kinds=("release.opened",), subject=f"release:{release.id}")
    decided = events(after=opened[0].seq, kinds=("decision.made",)) if opened else ()
    mine = (each.value for event in decided for each in event.puts if (each.kind, each.key) == ("release", release.id))
    return any(value is not None and value["phase"] == Phase.FULL for value in mine)


def order(release: ReleaseState, words: str, instead_of: str | None = None, *, by: str = "") -> Action:
    """To go back; `instead_of`: to whom it would have gone, where that one is lost. `by`: who says so; empty: control itself."""
    turn = {"to": release.champion, "instead_of": instead_of} if instead_of is not None else {}
    turn |= {"by": by} if by else {}
    return Action(kind="roll_back", subject=f"release:{release.id}", arguments={"reason": words, **turn})


def end(release: ReleaseState, words: str) -> Action:
    """What a release that cannot go back does instead, so that a newer version can be released: each phase its own step to the end."""
    if release.phase in {Phase.WATCHING, Phase.ROLLING_BACK}:
        return Action(kind="settle", subject=f"release:{release.id}", arguments={"reason": words})
    arguments = {"phase": Phase.WATCHING.value, "step": 0, "reason": words}
    return Action(kind="enter", subject=f"release:{release.id}", arguments=arguments)


def stays(release: ReleaseState, why: str) -> str:
    """In words."""
    return (
        f"{release.challenger} should be rolled back and stays, since the package of {release.champion} is not whole and no earlier verified unit "
        f"is: {why}"
    )


def finding(release: ReleaseState, words: str, now: datetime) -> Finding:
    """That nobody is there to go back to."""
    return Finding(
        id=f"f-way-back-{release.id}", kind=FindingKind.SERVING, model=release.model, unit=release.challenger, subject="rollback",
        window_start=release.entered_at, window_end=now, effect=1.0, effect_unit="units", share_of_budget=None, words=words,
        evidence=Evidence(name="unit_to_go_back_to", value=0.0, n=1, unit="units"),
    )  # fmt: skip


def refusal(release: ReleaseState, turned: ReleaseState | None) -> Conflict:
    """Of an order to roll back. `turned`: how it could go back, where whoever ordered has not agreed to that."""
    if turned is not None:
        return Conflict(
            f"the package of {release.champion}, to which {release.id} would go back, is not whole on this machine any more: nothing was done",
            next_step=f"flyball rollback, which goes to {turned.champion}",
        )
    return Conflict(
        f"the package of {release.champion}, to which {release.id} would go back, is not whole on this machine, and no earlier verified unit is",
        next_step="restore it from a backup (flyball verify names what is damaged), or flyball serving stop",
    )
