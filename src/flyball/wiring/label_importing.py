"""Labels from files and databases, sent through a gateway that runs."""

from pathlib import Path
from typing import NamedTuple

from flyball.control.label_import import LabelImport
from flyball.control.ports import Say
from flyball.control.reports import ImportReport
from flyball.errors import UserError
from flyball.records.signature import Task
from flyball.spec.data import SqlSpec
from flyball.wiring.environment import secret_of


class Door(NamedTuple):
    """Of the gateway that takes them."""

    url: str
    token: str
    model: str
    task: Task


def import_through(door: Door, wanted: LabelImport, say: Say) -> ImportReport:
    """What was accepted is stored when this returns. Raises UserError, DataError, NotFound, SourceFailed."""
    from flyball.adapters.label_rows import file_labels, label_rows, sql_labels, undated
    from flyball.adapters.labels_http import send_labels

    sql, numbers = sql_of(wanted), door.task == "regression"
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
    return send_labels(door.url, door.token, door.model, label_rows(frame), say)


def sql_of(wanted: LabelImport) -> SqlSpec | None:
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
