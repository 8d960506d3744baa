"""What happened to a project, as far as it may have moved its model: findings of the pipe, champions, flyball.yaml, the schema of the data."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from flyball.control import bounds
from flyball.control.world import World, draft, put
from flyball.monitoring import upstream
from flyball.records.findings import Finding, Happening
from flyball.records.release import Champion, ReleaseState
from flyball.records.unit import Unit, Version

CHANGES_TOLD = 6
"""Keys of flyball.yaml in one sentence."""


class SpecRead(msgspec.Struct, frozen=True, kw_only=True):
    """flyball.yaml as the last controller has read it. Secrets do not stand in it."""

    digest: str
    content: dict[str, Any]


def note_spec(world: World) -> None:
    """Record that flyball.yaml says something else than it did to the controller before; once, by whoever controls."""
    # The newest, whatever it is kept by: under the project's name, as by earlier releases, a new name would have hidden what else was changed with it.
    read = world.by_last_event("spec", SpecRead)
    before = read[-1] if read else None
    if before is not None and before.digest == world.spec_digest:
        return
    content = world.spec.model_dump(mode="json", by_alias=True)
    changed = changes(before.content, content) if before is not None else ()
    if before is None or changed:  # a key that a new release of Flyball brings is no change of the file
        state = put("spec", world.model, SpecRead(digest=world.spec_digest, content=content))
        world.record(draft(world.now(), "spec.changed", f"project:{world.spec.project}", {"changed": list(changed)}, (state,)))


def note_clock(world: World) -> None:
    """Record that the champion took over now, where that lies ahead since a clock was wrong then: until then nothing that is found of it would stand. Idempotent."""
    champion, now = world.get("champion", world.model, Champion), world.now()
    if champion is None or champion.since <= now or not _was_ahead(world, champion.since, now):
        return
    state = put("champion", world.model, msgspec.structs.replace(champion, since=now))
    payload = {"unit": champion.unit, "before": champion.since.isoformat()}
    world.record(draft(now, "champion.dated", f"model:{world.model}", payload, (state,)))


def _was_ahead(world: World, since: datetime, now: datetime) -> bool:
    """Whether the clock was ahead by then, and it is not the present one that is behind. A clock that was put ahead leaves a gap, in which `now` lies, longer
    than what the ledger tells from there on to the take-over; to one that is behind `now` lies among events that follow one another, or before them all."""
    before: datetime | None = None
    for event in world.ports.ledger.events():
        if now < event.at <= since:
            return before is not None and event.at - before > since - event.at
        if event.at <= now:
            before = event.at if before is None else max(before, event.at)
    return False


def changes(before: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """`monitor.window 1d → 6h` for each key whose value is another one; of a list only that it is."""
    found: list[str] = []
    for key in sorted(before.keys() & now.keys()):
        old, new = before[key], now[key]
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{key}.{change}" for change in changes(old, new)]
            found += [f"{key}.{name} is gone" for name in sorted(old.keys() - new.keys())]
            found += [f"{key}.{name} is new" for name in sorted(new.keys() - old.keys())]
        elif old != new:
            found.append(f"{key} {_short(old)} → {_short(new)}" if not isinstance(old, list | dict) else key)
    return tuple(found)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def happenings(world: World) -> tuple[Happening, ...]:
    """All there were, in no order."""
    return (
        *upstream.of_findings(world.all("finding", Finding)), *_champions(world), *_specs(world), *_schemas(world)
    )  # fmt: skip


def _champions(world: World) -> list[Happening]:
    found, challengers = [], {each.id: each.challenger for each in world.all("release", ReleaseState)}
    for _, release, move in bounds.all_moves(world):
        known = world.get("unit", move.after, Unit)
        named = f"version {known.version} ({move.after})" if known is not None else move.after or "nobody"
        back = move.after != challengers[release]
        words = f"{named} answers again: a rollback" if back else f"{named} became champion"
        found.append(Happening(at=move.at, subject=f"release {release}", words=words))
    return found


def _specs(world: World) -> list[Happening]:
    found = []
    for event in world.ports.ledger.events(kinds=("spec.changed",)):
        changed = event.payload["changed"]
        if changed:
            more = f" and {len(changed) - CHANGES_TOLD} more" if len(changed) > CHANGES_TOLD else ""
            words = f"flyball.yaml changed: {', '.join(changed[:CHANGES_TOLD])}{more}"
            found.append(Happening(at=event.at, subject="flyball.yaml", words=words))
    return found


def _schemas(world: World) -> list[Happening]:
    return [
        Happening(
            at=now.created_at, subject=f"version {now.number}",
            words=f"the schema of the data changed: version {now.number} was made of another one than version {then.number}",
        )
        for then, now in pairwise(sorted(world.all("version", Version), key=lambda version: version.number))
        if then.lineage.snapshot.schema_digest != now.lineage.snapshot.schema_digest
    ]  # fmt: skip
