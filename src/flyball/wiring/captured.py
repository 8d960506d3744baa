"""What was captured, and what is told of it later: tables for other programs, labels from files and databases."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flyball.adapters import supervisor
from flyball.control.label_import import LabelImport
from flyball.control.ports import Say
from flyball.control.reports import ExportReport, ImportReport
from flyball.control.traffic import wanted
from flyball.control.units import UnitShelf
from flyball.errors import FlyballError, GatewayUnreachable
from flyball.records.signature import Task
from flyball.records.unit import Unit
from flyball.wiring.label_importing import Door, import_through, sql_of
from flyball.wiring.worlds import Home, say_nothing, world_of

if TYPE_CHECKING:
    from flyball.adapters.capture_tables import Served

TABLES = "tables"
"""Below the state directory: where an export goes that names no place."""


class Captured:
    """The use cases of one project. What brings Polars is imported when one is asked for: the other commands start without it."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def export(
        self, kind: Literal["delta", "parquet"], to: Path | None, since: datetime | None, until: datetime | None, say: Say
    ) -> ExportReport:
        """Bring tables up to what is captured now."""
        from flyball.adapters.capture_tables import Wanted, export

        home = self._home
        home.keep_private()
        target = (to or home.state_dir / TABLES / kind).resolve()
        return export(home.state_dir, target, Wanted(format=kind, since=since, until=until), self._units(), say)

    def import_labels(self, wanted: LabelImport, say: Say) -> ImportReport:
        """Send them through the running gateway. Raises GatewayUnreachable when none runs; nothing was sent then."""
        sql_of(wanted)
        found = supervisor.running(self._home.state_dir)
        if found is None:
            raise GatewayUnreachable(
                "nothing runs that could take the labels", next_step="flyball up --detach, then the same again"
            )
        door = Door(found.gateway_url, self._home.token(), self._home.spec.model, self._task())
        return import_through(door, wanted, say)

    def _task(self) -> Task:
        """What the model that is served answers, whatever flyball.yaml says by now; as that says where none is, or nobody can tell."""
        with suppress(FlyballError):  # labels need a gateway alone: a ledger that cannot be read keeps none back
            table = wanted(world_of(self._home, say_nothing))
            if table is not None and table.routes:
                return table.routes[0].champion.signature.task
        return self._home.spec.task

    def _units(self) -> "dict[str, Served]":
        """All that were ever registered, oldest first; one whose package is gone is left out: its values then tell what they are."""
        from flyball.adapters.capture_tables import Served

        world = world_of(self._home, say_nothing)
        shelf = UnitShelf(world)
        found: dict[str, Served] = {}
        for unit in sorted(world.all("unit", Unit), key=lambda unit: (unit.version, unit.id)):
            try:
                found[unit.id] = Served(shelf.served(unit.id).signature, unit.threshold)
            except FlyballError:
                continue
        return found
