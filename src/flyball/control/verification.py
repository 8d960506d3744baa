"""Does everything that was recorded still hold: the ledger, the versions' bytes, the decisions."""

from collections.abc import Iterator

from flyball.control import decisions
from flyball.control.ports import LedgerAudit
from flyball.control.reports import VerifyReport
from flyball.control.world import World
from flyball.errors import FlyballError
from flyball.records.unit import Version


def verify(world: World, audit: LedgerAudit) -> VerifyReport:
    """Reads everything anew. A ledger that does not hold is reported, and then nothing is concluded from it."""
    faults = tuple(f"{fault.kind}: {fault.words}" for fault in audit.verify())
    if faults:
        return VerifyReport(
            events=world.ports.ledger.head().seq, ledger_faults=faults, artifacts=0, artifact_faults=(),
            decisions_replayed=0, decisions_equal=0, decisions_unequal=(), ok=False,
        )  # fmt: skip
    versions = world.all("version", Version)
    damaged = (*(words for version in versions if (words := _damage(world, version))), *_retold(world, versions))
    made = decisions.recorded(world)
    otherwise = [decision for decision in made if not decisions.replays_equal(decision)]
    unequal = tuple(decision.id for decision in otherwise if decision.made_by == decisions.MADE_BY)
    others = tuple(f"{each.id} ({decisions.maker_of(each)})" for each in otherwise if each.made_by != decisions.MADE_BY)
    return VerifyReport(
        events=world.ports.ledger.head().seq, ledger_faults=(), artifacts=len(versions), artifact_faults=damaged,
        decisions_replayed=len(made), decisions_equal=len(made) - len(otherwise), decisions_unequal=unequal, decisions_of_others=others,
        ok=not damaged and not unequal,
    )  # fmt: skip


def _damage(world: World, version: Version) -> str:
    try:
        world.ports.registry.fetch(version.model, version.number, version.manifest_digest)
    except FlyballError as error:
        return f"version {version.number}: {error.message}"
    return ""


def _retold(world: World, versions: tuple[Version, ...]) -> Iterator[str]:
    """Where the registry tells another story of a version than the ledger: its tags are whoever's who may write to it."""
    if not versions:
        return
    try:
        told = {version.number: version for version in world.ports.registry.versions(world.model)}
    except FlyballError as error:
        yield error.message
        return
    for version in versions:
        if version.number not in told:
            yield f"version {version.number} is in the ledger and not in the registry"
        elif told[version.number] != version:
            others = (name for name in Version.__struct_fields__ if getattr(version, name) != getattr(told[version.number], name))
            yield f"version {version.number} has another {', '.join(others)} in the registry than in the ledger: its tags were changed"
