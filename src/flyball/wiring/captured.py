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
from flyball.errors import FlyballError, GatewayUnreachable, UserError
from flyball.records.signature import Task
from flyball.records.unit import Unit
from flyball.spec.data import SqlSpec
from flyball.wiring.environment import secret_of
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
        from flyball.adapters.label_rows import file_labels, label_rows, sql_labels, undated
        from flyball.adapters.labels_http import send_labels

        sql = _sql_of(wanted)
        found = supervisor.running(self._home.state_dir)
        if found is None:
            raise GatewayUnreachable(
                "nothing runs that could take the labels", next_step="flyball up --detach, then the same again"
            )
        numbers = self._task() == "regression"
        frame = (
            sql_labels(sql, secret_of, wanted, numbers=numbers)
            if sql is not None
            else file_labels(Path(str(wanted.file)), wanted, numbers=numbers)
        )
        rewarded = frame["reward"].count()
        say("step", f"{frame.height:,} rows read" + (f", {rewarded:,} with a reward" if rewarded else ""))
        if undated(frame):
            say(
                "bad",
                f"{undated(frame):,} rows do not say when their outcome became known: it counts as known now, and wins over what was"
                " corrected since. Next: a column observed_at in the query, or --observed-at",
            )
        return send_labels(found.gateway_url, self._home.token(), self._home.spec.model, label_rows(frame), say)

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


def _sql_of(wanted: LabelImport) -> SqlSpec | None:
    """None: a file. Raises UserError, also for a URL in the place of its name: it would stand in the shell's history and in every list of processes."""
    if (wanted.file is None) == (wanted.sql is None):
        raise UserError(
            "a file and --sql" if wanted.file else "no labels", expected="either a FILE, or --sql NAME with --query TEXT"
        )
    if wanted.sql is None:
        return None
    if not wanted.sql.isidentifier() or not wanted.sql.isupper():
        raise UserError(
            "--sql is not the name of an environment variable", expected="such as ORDERS_URL, which holds the database's URL",
            next_step="export ORDERS_URL=…, then --sql ORDERS_URL",
        )  # fmt: skip
    if not wanted.query:
        raise UserError("--sql without --query", expected="a query whose result has the labels")
    return SqlSpec(url_env=wanted.sql, query=wanted.query)
