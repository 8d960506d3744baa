"""The tables of the ledger's database, and how it is opened."""

from pathlib import Path

import sqlalchemy as sa

from flyball.errors import OperatorError
from flyball.records.events import GENESIS

SCHEMA_VERSION = 1
BUSY_MILLISECONDS = 20_000
metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("puts", sa.Text, nullable=False),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("prev", sa.Text, nullable=False, unique=True),  # unique: two entries that follow the same one would be a fork
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("events_by_kind", "kind", "seq"),
    sa.Index("events_by_subject", "subject", "seq"),
)
states = sa.Table(
    "states",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
control = sa.Table(
    "control",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
"""One row: the newest controller's epoch, and the head that this database knows of (a table that ends before it lost its tail)."""
meta = sa.Table("meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))


def open_engine(path: Path, *, durable: bool = True) -> sa.Engine:
    """WAL, every commit fsynced (not `durable`: handed to the kernel, so that it outlives a killed process and not a power cut), `BEGIN IMMEDIATE` for
    connections with the option `writes`, none for those with `single`: one question is of one moment anyway."""
    synchronous = "FULL" if durable else "NORMAL"
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own deferred BEGIN would turn two writers into an instant BUSY
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", "journal_mode=WAL", f"synchronous={synchronous}", "mmap_size=0"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("single"):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    return engine


def prepare(connection: sa.Connection, path: Path) -> None:
    """Make the tables in a new database; refuse one that a newer Flyball wrote."""
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'meta'").first():
        found = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema_version")).scalar_one_or_none()
        if found is None or not found.isdigit() or int(found) > SCHEMA_VERSION:
            raise OperatorError(
                f"{path} has schema {found}",
                expected=f"{SCHEMA_VERSION} at most",
                next_step="use the newer Flyball that wrote it",
            )
        return
    metadata.create_all(connection)
    connection.execute(meta.insert(), {"name": "schema_version", "value": str(SCHEMA_VERSION)})
    connection.execute(control.insert(), {"id": 1, "epoch": 0, "seq": 0, "hash": GENESIS})
