"""What a gateway without a project captured, told to other programs, and what became of it, told to the gateway."""

from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from flyball.adapters import supervisor
from flyball.adapters.capture_tables import Served, Wanted, export
from flyball.adapters.entropy import fresh_token
from flyball.adapters.gateways_http import table_at
from flyball.adapters.standalone.routes import routed_units
from flyball.adapters.token import owner_token
from flyball.control.label_import import LabelImport
from flyball.control.ports import Say
from flyball.control.reports import ExportReport, ImportReport
from flyball.errors import Conflict, GatewayUnreachable, NotFound, UserError
from flyball.records.routing import RoutingTable
from flyball.wiring.captured import TABLES
from flyball.wiring.label_importing import Door, import_through, sql_of


class StandaloneCaptured(NamedTuple):
    """Of one state directory."""

    state_dir: Path
    units: dict[str, Served]
    """All that were ever routed there."""

    def export(
        self, kind: Literal["delta", "parquet"], to: Path | None, since: datetime | None, until: datetime | None, say: Say
    ) -> ExportReport:
        """Bring tables up to what is captured now; the gateway goes on meanwhile."""
        target = (to or self.state_dir / TABLES / kind).resolve()
        return export(self.state_dir, target, Wanted(format=kind, since=since, until=until), self.units, say)


def import_labels(state_dir: Path, model: str | None, wanted: LabelImport, say: Say) -> ImportReport:
    """Send them through the gateway that runs there. `model` None: the only one. Raises GatewayUnreachable when none runs; nothing was sent then. NotFound,
    Conflict, StoreUnavailable as `captured_of` does, UserError."""
    sql_of(wanted)
    table = _table(state_dir)
    tasks = {route.model: route.champion.signature.task for route in table.routes}
    if model is None and len(tasks) != 1:
        raise UserError(f"{len(tasks)} models are served from {state_dir}", expected=f"--model with one of {', '.join(tasks)}")
    name = model if model is not None else next(iter(tasks))
    if name not in tasks:
        raise NotFound(f"no model {name!r} is served from {state_dir}", expected=f"--model with one of {', '.join(tasks)}")
    found = supervisor.running(state_dir)
    if found is None:
        raise GatewayUnreachable(
            "nothing runs that could take the labels", next_step="start its `flyball gateway`, then the same again"
        )
    return import_through(Door(found.gateway_url, owner_token(state_dir, fresh_token), name, tasks[name]), wanted, say)


def captured_of(state_dir: Path) -> StandaloneCaptured:
    """Raises NotFound where no gateway ever served, Conflict for a project's directory, StoreUnavailable."""
    table = _table(state_dir)
    served = {each.unit.id: each for route in table.routes for each in route.units} | routed_units(state_dir)
    return StandaloneCaptured(state_dir, {name: Served(each.signature, each.unit.threshold) for name, each in served.items()})


def _table(state_dir: Path) -> RoutingTable:
    if (state_dir / "flyball.db").exists():
        raise Conflict(f"{state_dir} belongs to a project", next_step="name the project with --project in place of --state-dir")
    table = table_at(state_dir / "routing.json", "start its gateway, which makes that file anew")
    if table is None:
        raise NotFound(
            f"no gateway ever served from {state_dir}", expected="the state directory of a `flyball gateway`: .flyball-gateway beside its routing file"
        )  # fmt: skip
    return table
