"""What a gateway without a project captured, told to other programs."""

from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from flyball.adapters.capture_tables import Served, Wanted, export
from flyball.adapters.gateways_http import table_at
from flyball.adapters.standalone.routes import routed_units
from flyball.control.ports import Say
from flyball.control.reports import ExportReport
from flyball.errors import Conflict, NotFound
from flyball.wiring.captured import TABLES


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


def captured_of(state_dir: Path) -> StandaloneCaptured:
    """Raises NotFound where no gateway ever served, Conflict for a project's directory, StoreUnavailable."""
    if (state_dir / "flyball.db").exists():
        raise Conflict(f"{state_dir} belongs to a project", next_step="name the project with --project in place of --state-dir")
    table = table_at(state_dir / "routing.json", "start its gateway, which makes that file anew")
    if table is None:
        raise NotFound(
            f"no gateway ever served from {state_dir}", expected="the state directory of a `flyball gateway`: .flyball-gateway beside its routing file"
        )  # fmt: skip
    served = {each.unit.id: each for route in table.routes for each in route.units} | routed_units(state_dir)
    return StandaloneCaptured(state_dir, {name: Served(each.signature, each.unit.threshold) for name, each in served.items()})
