"""Gateway workers over one disk: they come and go, hear and do not hear, and start again from whatever lies on the disk."""

from datetime import timedelta
from typing import Any, NamedTuple

from flyball.errors import Conflict, StoreUnavailable
from flyball.records.routing import GatewayReport, RoutingTable


class Truth(NamedTuple):
    """What a worker really serves."""

    worker: str
    heard: bool
    revision: int | None
    units: tuple[str, ...]
    right_bytes: bool


class Worker:
    """One worker process; what it has seen it remembers until it is started again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 1
        self.alive = True
        self.heard = True
        self.deaf = False
        self.wrong: set[str] = set()
        """Units whose bytes it loads wrongly."""
        self.table: RoutingTable | None = None
        self.error = ""
        self.slow = 0
        """Looks that loading a table takes."""
        self._loading: RoutingTable | None = None
        self._looks = 0
        self.from_restored = False
        """It was started from a disk that somebody had put back."""
        self._loaded: dict[str, str] = {}

    def look(self, disk: RoutingTable | None) -> None:
        """As a real one does (gateway/tables.py): never back to a smaller revision, never to other routes under the same one."""
        if not self.alive or self.deaf or disk is None:
            return
        here = self.table
        reading, self._loading = self._loading, None
        if here is not None and disk.revision < here.revision and not self.goes_back():
            self.error = f"routing table of revision {disk.revision}, {here.revision} is live"
            return
        if here is not None and disk.revision == here.revision and disk.digest != here.digest:
            self.error = f"another routing table with revision {disk.revision}"
            return
        self.error = ""
        if here is not disk:
            self._looks = self._looks + 1 if reading is disk else 0
            if self._looks < self.slow:
                self._loading = disk
                return
            self.from_restored = False
            self._load(disk)

    def goes_back(self) -> bool:
        """Whether an older table would be taken: never."""
        return False

    def start_again(self, disk: RoutingTable | None, *, restored: bool) -> None:
        self.pid, self.alive, self.table, self.error = self.pid + 1, True, None, ""
        self.from_restored = restored
        self._loaded, self._loading = {}, None
        if disk is not None:
            self._load(disk)

    def report(self) -> GatewayReport:
        if not (self.alive and self.heard):
            return GatewayReport(
                worker=self.name, pid=self.pid, revision=None, digest=None, error="it does not answer", answers=False
            )
        table = self.table
        return GatewayReport(
            worker=self.name, pid=self.pid, revision=table.revision if table else None, digest=table.digest if table else None,
            fingerprints=self._loaded, error=self.error, loading=self._loading.revision if self._loading else None,
        )  # fmt: skip

    def truth(self) -> Truth:
        table, served = self.table, self._named()
        right = all(self._loaded.get(unit) == digest for unit, digest in served.items())
        return Truth(self.name, self.alive and self.heard, table.revision if table else None, tuple(sorted(served)), right)

    def _load(self, table: RoutingTable) -> None:
        self.table = table
        self._loaded = {unit: "0" * 64 if unit in self.wrong else digest for unit, digest in self._named().items()}

    def _named(self) -> dict[str, str]:
        routes = self.table.routes if self.table is not None else ()
        return {served.unit.id: served.unit.manifest_digest for route in routes for served in route.units}


class Fleet:
    """The port `Gateways` with its disk, its network and its workers."""

    def __init__(self, workers: int) -> None:
        self.disk: RoutingTable | None = None
        self.written: list[RoutingTable] = []
        """Every table that ever reached the disk."""
        self.workers = [Worker(str(number)) for number in range(workers)]
        self.gone = False
        """No gateway runs at all."""
        self.restored = False
        """The disk was put back to an older table, and the newest was not published since."""
        self.on_disk: list[tuple[str, int]] = []
        """(`published` or `restored`, revision), in order."""
        self.lease = False
        """Renewed since traffic was last sent: without it no canary answers."""
        self.next_publish = ""
        """`lost`, `unacknowledged`, `unheard` (on the disk, and nobody is told), `repeated`."""

    def publish(self, table: RoutingTable) -> None:
        fault, self.next_publish = self.next_publish, ""
        if fault == "lost":
            raise StoreUnavailable("the routing table could not be written")
        for _ in range(2 if fault == "repeated" else 1):
            self._write(table)
            if fault != "unheard":
                self.look()
        if fault == "unacknowledged":
            raise StoreUnavailable("the routing table was written, and the answer was lost")

    def published(self) -> RoutingTable | None:
        return self.disk

    def observe(self) -> tuple[GatewayReport, ...]:
        return () if self.gone else tuple(worker.report() for worker in self.workers)

    def renew_lease(self) -> None:
        self.lease = True

    def lease_age(self) -> timedelta:
        """A step stands for looks every second."""
        return timedelta(0)

    def look(self) -> None:
        """Every worker looks at the disk, as each does by itself from time to time."""
        for worker in self.workers:
            if not self.gone:
                worker.look(self.disk)

    def truth(self) -> tuple[Truth, ...]:
        return () if self.gone else tuple(worker.truth() for worker in self.workers)

    def restore_disk(self, older: RoutingTable) -> None:
        """Somebody puts yesterday's copy back."""
        self.disk, self.restored = older, True
        self.on_disk.append(("restored", older.revision))

    def start(self, worker: Worker) -> None:
        """It reads the disk, whatever lies there: of what it once served it remembers nothing."""
        worker.start_again(self.disk, restored=self.restored)

    def leave(self) -> None:
        self.gone = True
        for worker in self.workers:
            worker.table = None

    def come(self) -> None:
        self.gone = False
        for worker in self.workers:
            self.start(worker)

    def heal(self) -> None:
        """Whoever runs the machines has looked after them."""
        if self.gone:
            self.come()
        for worker in self.workers:
            worker.heard, worker.deaf, worker.slow = True, False, 0
            if not worker.alive or worker.wrong:
                worker.wrong = set()
                self.start(worker)
        self.next_publish = ""

    def _write(self, table: RoutingTable) -> None:
        present = self.disk
        if present is not None and present.revision > table.revision and not self.overwrites():
            raise Conflict(f"the routing table has revision {present.revision}", expected=f"less than {table.revision}")
        if present is not None and present.revision == table.revision and present.digest != table.digest:
            raise Conflict(f"revision {table.revision} has other routes", expected="a larger revision for a change")
        if present is None or present.revision != table.revision:
            newest = max((each.revision for each in self.written), default=0)
            self.disk, self.restored = table, self.restored and table.revision < newest
            self.written.append(table)
            self.on_disk.append(("published", table.revision))

    def overwrites(self) -> bool:
        """Whether an older table may take a newer one's place: never."""
        return False


def weights(table: RoutingTable) -> tuple[float, float]:
    """(champion's share, canary's share) of the keys."""
    (route,) = table.routes
    arms: Any = sum(arm.weight for arm in route.arms)
    return 1.0 - route.canary_weight - arms, route.canary_weight
