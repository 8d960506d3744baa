"""Does everything that was recorded still hold: the ledger, the versions' bytes, the decisions."""

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
    damaged = tuple(words for version in versions if (words := _damage(world, version)))
    made = decisions.recorded(world)
    unequal = tuple(decision.id for decision in made if not decisions.replays_equal(decision))
    return VerifyReport(
        events=world.ports.ledger.head().seq, ledger_faults=(), artifacts=len(versions), artifact_faults=damaged,
        decisions_replayed=len(made), decisions_equal=len(made) - len(unequal), decisions_unequal=unequal, ok=not damaged and not unequal,
    )  # fmt: skip


def _damage(world: World, version: Version) -> str:
    try:
        world.ports.registry.fetch(version.model, version.number)
    except FlyballError as error:
        return f"version {version.number}: {error.message}"
    return ""
