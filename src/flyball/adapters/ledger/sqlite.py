"""The ledger on SQLite: one file, one writer at a time, its head also in a file of its own."""

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from flyball.adapters.ledger.audit import Kept, audit
from flyball.adapters.ledger.entry import Entry, Texts, event_of, hash_of, seal_texts, texts_of, value_of
from flyball.adapters.ledger.foreign import translate, translating
from flyball.adapters.ledger.head_file import HeadFile
from flyball.adapters.ledger.tables import BUSY_MILLISECONDS, control, events, open_engine, prepare, states
from flyball.control.ports import LedgerFault
from flyball.errors import Fenced, LedgerDamaged, StoreUnavailable
from flyball.records.events import GENESIS, Draft, Event, Head, Stored

_UPSERT = sqlite_insert(states)
UPSERT_STATE = _UPSERT.on_conflict_do_update(
    index_elements=["kind", "key"], set_={"value": _UPSERT.excluded.value, "seq": _UPSERT.excluded.seq}
)
# Built once: making a statement costs more than running it.
_INSERT = events.insert()
_BY_KEYS = sa.select(events).where(events.c.key.in_(sa.bindparam("keys", expanding=True)))
_END = sa.select(control.c.epoch, control.c.seq, control.c.hash)
_MOVE_END = control.update().values(seq=sa.bindparam("to_seq"), hash=sa.bindparam("to_hash"))
_HASH_OF = sa.select(events.c.hash).where(events.c.seq == sa.bindparam("at_seq"))
_REMOVE_STATE = states.delete().where(states.c.kind == sa.bindparam("gone_kind"), states.c.key == sa.bindparam("gone_key"))
_STATES = sa.select(states).where(states.c.kind == sa.bindparam("of_kind")).order_by(states.c.key)
_SEQS = sa.select(states.c.key, states.c.seq).where(states.c.kind == sa.bindparam("of_kind")).order_by(states.c.key)
_STATES_BY_KEYS = sa.select(states).where(
    states.c.kind == sa.bindparam("of_kind"), states.c.key.in_(sa.bindparam("keys", expanding=True))
)
_LAST_ENTRY = sa.select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)


def _text_of(query: sa.Select[Any]) -> str:
    return str(query.compile(dialect=sqlite_dialect.dialect(paramstyle="named")))


# What a controller asks hundreds of times at each turn goes to the driver as it is: around the same text SQLAlchemy costs six times what the question does.
_TEXT_OF_STATE = _text_of(
    sa.select(states).where(states.c.kind == sa.bindparam("of_kind"), states.c.key == sa.bindparam("of_key"))
)
_TEXT_OF_STATES = _text_of(_STATES)
# By hand: SQLAlchemy's wording of `_LAST_ENTRY` ends in a limit and an offset that would have to be bound at each question.
_TEXT_OF_LAST_ENTRY = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1"
_NOTHING: Mapping[str, str] = {}

ASKED_BY_KEY = 500
"""SQLite's bound parameters are limited."""
LOOKED_AT = 1000
"""Entries that `look` reads: a few hours of a busy project, in some ten milliseconds."""


class SqliteLedger:
    """`DIR/flyball.db` and `DIR/HEAD`. Safe for threads and processes on a local disk (never on a network file system).

    Constructing it makes or opens the files and mends a head that a crash left behind. Damage does not keep it from being read or verified, but nothing is
    appended to a ledger whose end is not the one that the head file knows: every write raises LedgerDamaged.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        """Not `durable`: what was written outlives a killed process, and not a power cut. For a replay, which can be lived again."""
        self._path = directory / "flyball.db"
        self._head_file = HeadFile(directory / "HEAD", durable=durable)
        # Doors make a ledger for each request and close none: its descriptors end with it, not with the process.
        weakref.finalize(self, self._head_file.close)
        head_path = directory / "HEAD"
        with translating(self._path):
            directory.mkdir(parents=True, exist_ok=True)
            fresh = not self._path.exists()
            if fresh and not head_path.exists():
                self._head_file.create()
            elif fresh and self._head_file.read().seq > 0:
                raise LedgerDamaged(
                    f"{self._path} is missing, its head file knows {self._head_file.read().seq} entries",
                    next_step="restore the last good copy",
                )
            self._engine = open_engine(self._path, durable=durable)
            self._asked = self._engine.execution_options(single=True)
            # Who forgets to close leaves no connection to the garbage collector's mood: Python 3.13 warns of those.
            weakref.finalize(self, self._engine.dispose)
            self._open()

    def transact(self, drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        texts = [texts_of(draft) for draft in drafts]
        if not texts:
            return ()
        with self._writing() as (connection, head, present):
            if epoch is not None and epoch != present:
                raise Fenced(
                    f"epoch {epoch} may not write any more: epoch {present} has taken over", next_step="stop this controller"
                )
            return self._append(connection, head, texts)

    def claim(self, owner: str, at: datetime) -> int:
        with self._writing() as (connection, head, present):
            epoch = present + 1
            draft = Draft(at=at, kind="control.claimed", subject="control", actor=owner, payload={"epoch": epoch, "owner": owner})
            self._append(connection, head, [texts_of(draft)])
            connection.execute(control.update().values(epoch=epoch))
        return epoch

    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int | None = None,
        newest: bool = False,
    ) -> tuple[Event, ...]:
        order = events.c.seq.desc() if newest else events.c.seq
        query = sa.select(events).where(events.c.seq > after).order_by(order).limit(limit)
        if kinds:
            query = query.where(events.c.kind.in_(kinds))
        if subject is not None:
            query = query.where(events.c.subject == subject)
        with translating(self._path), self._asked.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(event_of(Entry._make(row)) for row in (reversed(rows) if newest else rows))

    def state(self, kind: str, key: str) -> Stored | None:
        rows = self._ask(_TEXT_OF_STATE, {"of_kind": kind, "of_key": key})
        return _stored(*rows[0]) if rows else None

    def states(self, kind: str, known: Callable[[str, int], bool] | None = None) -> tuple[Stored, ...]:
        if known is None:
            return tuple(_stored(*row) for row in self._ask(_TEXT_OF_STATES, {"of_kind": kind}))
        with translating(self._path), self._engine.connect() as connection:  # both questions of one moment, and nothing to commit
            rows = connection.execute(_SEQS, {"of_kind": kind}).all()
            fresh = [row.key for row in rows if not known(row.key, row.seq)]
            values = {row.key: _stored(row.kind, row.key, row.value, row.seq) for row in self._values(connection, kind, fresh)}
        return tuple(values.get(row.key) or Stored(kind, row.key, {}, row.seq) for row in rows)

    def head(self) -> Head:
        rows = self._ask(_TEXT_OF_LAST_ENTRY)
        return _head_of(rows[0] if rows else None)

    def verify(self) -> tuple[LedgerFault, ...]:
        """Over a connection of its own, reading bytes, so that neither a pool nor a decoder hides anything."""
        try:
            outer: Head | None = self._head_file.read()  # before the table: what it knows was committed
        except LedgerDamaged:
            outer = None
        try:
            name = f"{self._path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(name, uri=True, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None)
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        try:
            return self._audit(connection, outer)
        except sqlite3.Error as error:
            fault = translate(error, self._path)
            if isinstance(fault, StoreUnavailable):
                raise fault from error
            return (LedgerFault("flipped", None, f"SQLite cannot read the file: {error}"),)
        finally:
            connection.close()

    def look(self, newest: int = LOOKED_AT) -> tuple[LedgerFault, ...]:
        """Only the end and the newest entries: milliseconds, however long the ledger is. What is older `verify` reads."""
        try:
            outer = self._head_file.read()  # before the table: what it knows was committed
            with translating(self._path), self._engine.connect() as connection:
                head = _head_of(connection.execute(_LAST_ENTRY).first())
                inner = Head(*connection.execute(_END).one()[1:])
                words = self._end_fault(connection, head, outer) or _differs(head, inner)
                entries = events.select().where(events.c.seq > head.seq - newest).order_by(events.c.seq)
                rows = [Entry._make(row) for row in connection.execute(entries)]
        except LedgerDamaged as error:
            return (LedgerFault("head" if "head file" in error.found else "flipped", None, error.found),)
        faults = [] if words is None else [LedgerFault("restored", None, words)]
        for entry, before in zip(rows, (None, *rows), strict=False):
            if hash_of(entry) != entry.hash or (before is not None and entry.prev != before.hash):
                faults.append(LedgerFault("flipped", entry.seq, f"entry {entry.seq} is not what was written"))
        return tuple(faults)

    def close(self) -> None:
        self._engine.dispose()
        self._head_file.close()

    def _open(self) -> None:
        if not self._head_file.is_whole():  # an operator must see this: `verify` says it and every write refuses
            with self._engine.connect() as connection:
                prepare(connection, self._path)
            return
        with self._head_file.locked(), self._engine.connect().execution_options(writes=True) as connection:
            with connection.begin():
                prepare(connection, self._path)
                last = _head_of(connection.execute(_LAST_ENTRY).first())
                holds = self._end_fault(connection, last, self._head_file.read()) is None
            if holds:
                self._head_file.write(last)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sa.Connection, Head, int]]:
        """One transaction, alone among all writers: (connection, head, epoch). The head file follows the commit before anyone else may write."""
        with translating(self._path), self._head_file.locked():
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                epoch, head = self._checked_end(connection)
                yield connection, head, epoch
                written = Head(*connection.execute(_END).one()[1:])
            self._follow(written)

    def _follow(self, head: Head) -> None:
        # The commit stands whatever becomes of its head: to raise would tell the caller that nothing was written. A head that
        # cannot be moved stops the next write instead (`_checked_end` moves it first), so it is never more than one commit behind.
        try:
            self._head_file.write(head)
        except StoreUnavailable:
            return

    def _checked_end(self, connection: sa.Connection) -> tuple[int, Head]:
        """(epoch, head); raises LedgerDamaged when the end of the table is not where the database and the head file say."""
        epoch, seq, hash_ = connection.execute(_END).one()
        head = _head_of(connection.execute(_LAST_ENTRY).first())
        inner = Head(seq, hash_)
        fault = self._end_fault(connection, head, self._head_file.read())
        fault = fault or _differs(head, inner)
        if fault is not None:
            raise LedgerDamaged(f"the ledger's end does not hold: {fault}", next_step="run `flyball verify`")
        self._head_file.write(head)
        return epoch, head

    def _end_fault(self, connection: sa.Connection, head: Head, outer: Head) -> str | None:
        if outer.seq > head.seq:
            return f"it ends at entry {head.seq}, the head file knows {outer.seq}"
        if outer.seq == 0:
            return None
        at_seq = {"at_seq": outer.seq}
        found = head.hash if outer.seq == head.seq else connection.execute(_HASH_OF, at_seq).scalar_one_or_none()
        return None if found == outer.hash else f"entry {outer.seq} is not the one that the head file knows"

    def _append(self, connection: sa.Connection, head: Head, drafts: Sequence[Texts]) -> tuple[Event, ...]:
        known = self._known(connection, [texts.key for texts in drafts if texts.key is not None])
        answers, fresh, changed = [], [], dict[tuple[str, str], tuple[str | None, int]]()
        for texts in drafts:
            entry = known.get(texts.key) if texts.key is not None else None
            if entry is None:
                entry = seal_texts(head.seq + 1, texts, head.hash)
                head = Head(entry.seq, entry.hash)
                fresh.append(entry)
                changed.update({(kind, key): (value, entry.seq) for kind, key, value in texts.states})
                if texts.key is not None:
                    known[texts.key] = entry
            answers.append(event_of(entry))
        if fresh:
            connection.execute(_INSERT, [entry._asdict() for entry in fresh])
            _project(connection, changed)
            connection.execute(_MOVE_END, {"to_seq": head.seq, "to_hash": head.hash})
        return tuple(answers)

    def _known(self, connection: sa.Connection, keys: list[str]) -> dict[str, Entry]:
        """Entries that have one of the keys already."""
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), ASKED_BY_KEY):
            rows = connection.execute(_BY_KEYS, {"keys": keys[start : start + ASKED_BY_KEY]})
            found.update({row.key: Entry._make(row) for row in rows})
        return found

    def _values(self, connection: sa.Connection, kind: str, keys: list[str]) -> Sequence[sa.Row[Any]]:
        """At least of those keys: who knows next to nothing asks for all at once."""
        if not keys:
            return ()
        if len(keys) > ASKED_BY_KEY:
            return connection.execute(_STATES, {"of_kind": kind}).all()
        return connection.execute(_STATES_BY_KEYS, {"of_kind": kind, "keys": keys}).all()

    def _ask(self, text: str, given: Mapping[str, str] = _NOTHING) -> list[tuple[Any, ...]]:
        """One question, which is of one moment without a transaction."""
        with translating(self._path):
            pooled = self._engine.raw_connection()
            try:
                return cast("sqlite3.Connection", pooled.driver_connection).execute(text, given).fetchall()
            finally:
                pooled.close()

    def _audit(self, connection: sqlite3.Connection, outer: Head | None) -> tuple[LedgerFault, ...]:
        connection.text_factory = _text_or_bytes
        connection.execute("BEGIN")
        sick = [row[0] for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        row = connection.execute("SELECT epoch, seq, hash FROM control").fetchone()
        if row is None or [type(column) for column in row] != [int, int, str]:
            return (LedgerFault("flipped", None, f"the database's own head cannot be read: {row}"),)
        epoch, seq, hash_ = row
        kept = Kept(
            entries=(Entry._make(row) for row in connection.execute("SELECT * FROM events NOT INDEXED ORDER BY seq")),
            states={(kind, key): (value, at) for kind, key, value, at in connection.execute("SELECT * FROM states")},
            inner=Head(seq, hash_),
            outer=outer,
            epoch=epoch,
        )
        return audit(kept) + tuple(LedgerFault("flipped", None, f"SQLite's own check: {words}") for words in sick)


def _project(connection: sa.Connection, changed: dict[tuple[str, str], tuple[str | None, int]]) -> None:
    kept = [
        {"kind": kind, "key": key, "value": value, "seq": seq}
        for (kind, key), (value, seq) in changed.items()
        if value is not None
    ]
    gone = [{"gone_kind": kind, "gone_key": key} for (kind, key), (value, _) in changed.items() if value is None]
    if kept:
        connection.execute(UPSERT_STATE, kept)
    if gone:
        connection.execute(_REMOVE_STATE, gone)


def _head_of(row: Sequence[Any] | None) -> Head:
    """Of the last entry, or of an empty table. Raises LedgerDamaged when a damaged page gives something else."""
    if row is None:
        return Head(0, GENESIS)
    seq, hash_ = row
    if not isinstance(seq, int) or not isinstance(hash_, str):
        raise LedgerDamaged("the ledger's last entry cannot be read", next_step="run `flyball verify`")
    return Head(seq, hash_)


def _differs(head: Head, inner: Head) -> str | None:
    return None if head == inner else f"it ends at entry {head.seq}, its own head is {inner.seq}"


def _stored(kind: str, key: str, value: str, seq: int) -> Stored:
    return Stored(kind, key, value_of(value), seq)


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
