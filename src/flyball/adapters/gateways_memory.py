"""Gateways in memory, with the faults that a simulation switches on."""

from collections.abc import Callable
from datetime import timedelta

from flyball.errors import Conflict
from flyball.records.routing import GatewayReport, RoutingTable


class MemoryGateways:
    """`workers` workers that load a table at once, unless `deaf` (acknowledge and do nothing) or `unreachable` names them."""

    def __init__(self, workers: int = 1) -> None:
        self.table: RoutingTable | None = None
        """The table on the disk."""
        self.served: dict[str, RoutingTable | None] = {str(number): None for number in range(workers)}
        """Worker → the table that it answers by."""
        self.deaf: set[str] = set()
        self.unreachable: set[str] = set()
        self.loading: set[str] = set()
        """Workers that take a long time to load whatever is new, and say so."""
        self.refused: dict[str, str] = {}
        """Unit → why no worker can load it: a table that names it is not served, and the worker says so."""
        self.wrong_bytes: set[str] = set()
        """Unit ids whose loaded bytes are not those of the manifest."""
        self.tripped: dict[str, str] = {}
        """Units that every worker leaves alone, with the kind of failure."""
        self.suspended = False
        self.leases = 0
        self.silent = timedelta(0)
        """How long the lease was not renewed."""
        self.on_publish: Callable[[RoutingTable], None] | None = None

    def publish(self, table: RoutingTable) -> None:
        present = self.table
        if present is not None and present.revision > table.revision:
            raise Conflict(f"the routing table has revision {present.revision}", expected=f"less than {table.revision}")
        if present is not None and present.revision == table.revision and present.digest != table.digest:
            raise Conflict(
                f"revision {table.revision} of the routing table has other routes", expected="a larger revision for a change"
            )
        self.table = table
        if self.on_publish is not None:
            self.on_publish(table)
        self.look()

    def published(self) -> RoutingTable | None:
        return self.table

    def look(self) -> None:
        """Every worker that hears and lives reads the table, as it does by itself from time to time."""
        for worker in self.served:
            if worker not in self.deaf | self.unreachable | self.loading and not self._refusal():
                self.served[worker] = self.table

    def restart(self, worker: str) -> None:
        """A worker that is started again reads the table from the disk, deaf or not."""
        self.unreachable.discard(worker)
        self.served[worker] = self.table

    def _refusal(self) -> str:
        units = [] if self.table is None else [unit.unit.id for route in self.table.routes for unit in route.units]
        return next((self.refused[unit] for unit in units if unit in self.refused), "")

    def observe(self) -> tuple[GatewayReport, ...]:
        return tuple(self._report(worker, table) for worker, table in sorted(self.served.items()))

    def renew_lease(self) -> None:
        self.leases += 1
        self.silent = timedelta(0)

    def lease_age(self) -> timedelta:
        return self.silent

    def _report(self, worker: str, table: RoutingTable | None) -> GatewayReport:
        if worker in self.unreachable:
            return GatewayReport(worker=worker, pid=0, revision=None, digest=None, error="it does not answer", answers=False)
        behind = self.table if table is not self.table and worker in self.loading else None
        loading = None if behind is None else behind.revision
        if table is None:
            return GatewayReport(worker=worker, pid=1, revision=None, digest=None, error=self._refusal(), loading=loading)
        served = {
            unit.unit.id: unit.unit.manifest_digest
            for route in table.routes
            for unit in (route.champion, route.canary, *route.shadows)
            if unit is not None
        }
        fingerprints = {unit: "0" * 64 if unit in self.wrong_bytes else digest for unit, digest in served.items()}
        return GatewayReport(
            worker=worker,
            pid=1,
            revision=table.revision,
            digest=table.digest,
            fingerprints=fingerprints,
            canary_suspended=self.suspended,
            error="" if table is self.table else self._refusal(),
            loading=loading,
            tripped={unit: kind for unit, kind in self.tripped.items() if unit in fingerprints},
        )
