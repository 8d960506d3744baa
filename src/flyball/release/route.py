"""Who answers a model's traffic in each phase of a release."""

import msgspec

from flyball.errors import Conflict
from flyball.records.release import Phase, ReleaseState
from flyball.records.routing import Route, ServedUnit
from flyball.records.signature import Unknown, loose
from flyball.release.policy import ReleasePolicy

OLD_ALONE = frozenset({Phase.PROPOSED, Phase.HELD, Phase.ROLLING_BACK, Phase.ROLLED_BACK})
"""Phases in which the challenger answers nobody, whatever has become of its bytes."""
_NEW_ANSWERS = frozenset({Phase.FULL, Phase.WATCHING})
MAX_TOLERATED = 50
"""Columns, those of some ten releases: every gateway holds a second reader with them, and hundreds would fill the table."""


def route(
    model: str,
    release: ReleaseState | None,
    champion: ServedUnit | None,
    challenger: ServedUnit | None,
    previous: ServedUnit | None,
    policy: ReleasePolicy,
) -> Route | None:
    """The route of one model; None: nobody answers yet (or any more, after the rollback of a first release).

    The units are the champion now, the release's challenger and the champion before: told apart by their ids, so that it does not matter whether
    the ledger already calls the challenger champion. Without a release the champion answers alone. A release with one unit alone has
    the same route as none, so that its end needs no new switch. Raises Conflict when a unit that the phase needs is not among them.
    """
    if release is None:
        return Route(model=model, champion=champion) if champion is not None else None
    known = {served.unit.id: served for served in (champion, challenger, previous) if served is not None}
    if release.phase in OLD_ALONE:
        return Route(model=model, champion=_of(known, release.champion, release)) if release.champion is not None else None
    new = _of(known, release.challenger, release)
    if release.phase is Phase.SETTLED:
        return Route(model=model, champion=new)
    share = policy.shadow.share if policy.shadow is not None else 1.0
    if release.phase in _NEW_ANSWERS:
        # The old unit is warm anyway, as a shadow: where the new one breaks, it answers until the release is taken back. Without its package it does neither.
        spare = known.get(release.champion) if release.champion is not None else None
        warm = (spare,) if spare is not None else ()
        return Route(model=model, champion=new, shadows=warm, fallback=spare, shadow_share=share, salt=release.id)
    old = _of(known, release.champion, release) if release.champion is not None else None
    if old is None:
        raise Conflict(f"release {release.id} is in {release.phase.value} and has no champion to stand beside")
    if release.phase is Phase.SHADOW:
        return Route(model=model, champion=old, shadows=(new,), shadow_share=share, salt=release.id)
    declared = policy.steps[release.step].traffic if release.step < len(policy.steps) else 0.0
    weight = declared if release.weight is None else release.weight
    # Both score every row, so that quality is compared on the same rows whoever answered.
    return Route(
        model=model, champion=old, canary=new, canary_weight=weight, shadows=(old, new), shadow_share=share, salt=release.id
    )


def divided(standing: Route, release: ReleaseState, policy: ReleasePolicy) -> Route:
    """The same units with the shares that the policy asks for by now. A step that it does not know any more keeps its own, and so does one whose share a
    bandit has moved, as long as there is one."""
    if standing.salt != release.id:  # nobody stands beside the one that answers, or a drill is held
        return standing
    weight = standing.canary_weight
    moved = release.weight is not None and policy.bandit is not None
    if standing.canary is not None and not moved and release.step < len(policy.steps):
        weight = policy.steps[release.step].traffic
    share = policy.shadow.share if policy.shadow is not None else 1.0
    return msgspec.structs.replace(standing, canary_weight=weight, shadow_share=share)


def rehearsal(model: str, champion: ServedUnit, earlier: ServedUnit) -> Route:
    """The champion answers alone, and every gateway holds the earlier unit ready: it scores nothing."""
    return Route(model=model, champion=champion, shadows=(earlier,), shadow_share=0.0)


def tolerant(made: Route, standing: Route) -> Route:
    """The route after `standing`, for whose requests it stays good: what only units of before took may still come, and only its type is looked at."""
    taken = {column.name for served in made.units for column in served.signature.columns}
    before = (*(column for served in standing.units for column in served.signature.columns), *standing.tolerated)
    left = {column.name: column for column in reversed(before) if column.name not in taken}  # of two, the newer one's
    late = [
        msgspec.structs.replace(loose(column), categories=None, unknown=Unknown.AS_TRAINED) for column in reversed(left.values())
    ]
    return msgspec.structs.replace(made, tolerated=tuple(late[:MAX_TOLERATED]))


def stopped(route: Route, fallback: ServedUnit | None, words: str) -> Route:
    """Nobody of the route answers: the fallback does, alone; None: requests are refused with these words, and the champion's bytes are held ready."""
    if fallback is not None:
        return Route(model=route.model, champion=fallback)
    return Route(model=route.model, champion=route.champion, stopped=words)


def _of(known: dict[str, ServedUnit], unit: str, release: ReleaseState) -> ServedUnit:
    if unit not in known:
        raise Conflict(
            f"release {release.id} in {release.phase.value} needs the unit {unit}, found {', '.join(sorted(known)) or 'none'}",
            expected="its package on this machine",
        )
    return known[unit]
