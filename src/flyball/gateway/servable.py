"""What of a route can be served: the units that are loaded, and the requests that all of its units understand."""

from collections.abc import Collection

import msgspec

from flyball.errors import ArtifactDamaged
from flyball.records.routing import Route, ServedUnit
from flyball.records.signature import Column, Signature, clash, loose, wider


def remaining(route: Route, loaded: Collection[str]) -> Route | None:
    """The route without the units that are not loaded; None: nobody is left who may answer for all."""
    fallback = route.fallback if route.fallback is not None and route.fallback.unit.id in loaded else None
    champion = route.champion if route.champion.unit.id in loaded else fallback
    if champion is None:
        return None
    there = route.canary is not None and route.canary.unit.id in loaded
    return msgspec.structs.replace(
        route,
        champion=champion,
        canary=route.canary if there else None,
        canary_weight=route.canary_weight if there else 0.0,
        shadows=tuple(each for each in route.shadows if each.unit.id in loaded),
        # An arm that is away keeps its share of the keys: the others' customers must not change hands.
        arms=tuple(arm if arm.unit.unit.id in loaded else msgspec.structs.replace(arm, unit=champion) for arm in route.arms),
        fallback=fallback if champion is not fallback else None,
    )


def accepted(route: Route, last: ServedUnit | None = None) -> Signature:
    """What a request may bring: the champion's columns, as it wants them unless the last unit that is asked takes more, and optionally those that only
    other units of the route know, or of a route before: of these any value of their type. `last`: None is the route's fallback, or the champion where it
    has none.
    Raises ArtifactDamaged when the units of one route cannot understand the same request."""
    asked = _understood(route.champion, last or route.fallback or route.champion)
    for served in route.units[1:]:
        found = clash(asked, served.signature)
        if found is not None:
            raise ArtifactDamaged(
                f"{served.unit.id}: {found.found}", expected=f"{found.expected}, as its champion", next_step=found.next_step
            )
        known = {column.name for column in asked.columns}
        more = tuple(loose(each) for each in served.signature.columns if each.name not in known)
        asked = msgspec.structs.replace(asked, columns=asked.columns + more)
    return msgspec.structs.replace(asked, columns=asked.columns + tolerated(route))


def tolerated(route: Route) -> tuple[Column, ...]:
    """Columns that a request may bring and that no unit of the route takes, where not anything may come: the last of those that are accepted."""
    if route.champion.signature.extra == "ignore":
        return ()
    known = {column.name for served in route.units for column in served.signature.columns}
    return tuple(column for column in route.tolerated if column.name not in known)


def _understood(champion: ServedUnit, last: ServedUnit) -> Signature:
    """The champion's, or what its fallback understands as well: a request of before a release is to be answered, and to count against who fails at it.
    Where nobody else is asked it is the client that is wrong."""
    asked = champion.signature
    theirs = {column.name: column for column in last.signature.columns}
    columns = (wider(each, theirs[each.name]) if each.name in theirs else loose(each) for each in asked.columns)
    return msgspec.structs.replace(asked, columns=tuple(columns))
