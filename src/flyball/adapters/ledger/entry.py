"""An entry as it is kept: canonical JSON texts, so that its hash is checked over the very bytes that lie on the disk."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from flyball.errors import LedgerDamaged
from flyball.records import codec
from flyball.records.events import Draft, Event, Put

Column = str | bytes
"""A text column; bytes when a damaged one is not UTF-8 any more."""


class Entry(NamedTuple):
    """One row of the table `events`."""

    seq: int
    at: str
    kind: str
    subject: str
    actor: str
    payload: str
    puts: str
    key: str | None
    prev: str
    hash: str


class Texts(NamedTuple):
    """A draft in canonical texts, made before the transaction begins: nothing slow happens inside it."""

    at: str
    kind: str
    subject: str
    actor: str
    payload: str
    puts: str
    key: str | None
    states: tuple[tuple[str, str, str | None], ...]
    """(kind, key, canonical value) of every put; None removes."""


def texts_of(draft: Draft) -> Texts:
    """Raises ValueError on a time without zone, on NaN, on a lone surrogate and on a number that JSON cannot carry."""
    if draft.at.tzinfo is None:
        raise ValueError(f"an event's time needs a zone, found {draft.at.isoformat()}")
    for name in (draft.kind, draft.subject, draft.actor, draft.key or ""):
        name.encode()
    try:
        values = [_value_text(put.value) for put in draft.puts]
        return Texts(
            at=codec.plain(draft.at.astimezone(UTC)),
            kind=draft.kind,
            subject=draft.subject,
            actor=draft.actor,
            payload=codec.encode(draft.payload).decode(),
            puts=_puts_text(draft.puts, values),
            key=draft.key,
            states=tuple((put.kind, put.key, value) for put, value in zip(draft.puts, values, strict=True)),
        )
    except OverflowError as error:
        raise ValueError(f"{draft.kind}: a number that cannot be stored: {error}") from error


def seal_texts(seq: int, texts: Texts, prev: str) -> Entry:
    """Give the texts their place; the hash equals `records.events.chain_hash` of the same draft."""
    open_entry = Entry(seq, *texts[:7], prev=prev, hash="")
    return open_entry._replace(hash=hash_of(open_entry))


def hash_of(entry: Entry) -> str:
    """SHA-256 over the canonical array of all columns but the hash, joined from the stored texts without parsing them."""
    parts = [
        str(entry.seq).encode(),
        *(_quoted(text) for text in (entry.at, entry.kind, entry.subject, entry.actor)),
        _raw(entry.payload),
        _raw(entry.puts),
        b"null" if entry.key is None else _quoted(entry.key),
        _quoted(entry.prev),
    ]
    return hashlib.sha256(b"[" + b",".join(parts) + b"]").hexdigest()


def event_of(entry: Entry) -> Event:
    """Raises LedgerDamaged when a text cannot be read."""
    try:
        return Event(
            seq=entry.seq,
            at=datetime.fromisoformat(entry.at),
            kind=entry.kind,
            subject=entry.subject,
            actor=entry.actor,
            payload=codec.decode(entry.payload.encode(), dict[str, Any]),
            puts=codec.decode(entry.puts.encode(), tuple[Put, ...]),
            key=entry.key,
            prev=entry.prev,
            hash=entry.hash,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise LedgerDamaged(
            f"entry {entry.seq} of the ledger cannot be read: {error}", next_step="run `flyball verify`"
        ) from error


def value_of(text: str) -> dict[str, Any]:
    """A stored state's value. Raises LedgerDamaged."""
    try:
        return codec.decode(text.encode(), dict[str, Any])
    except (ValueError, AttributeError) as error:
        raise LedgerDamaged(f"a stored state cannot be read: {error}", next_step="run `flyball verify`") from error


def _value_text(value: dict[str, Any] | None) -> str | None:
    return None if value is None else codec.encode(value).decode()


def _puts_text(puts: Sequence[Put], values: Sequence[str | None]) -> str:
    """`codec.encode(puts)`, from the values' texts: states are most of an entry, and are not encoded twice."""
    parts = [
        f'{{"key":{_json(put.key)},"kind":{_json(put.kind)},"value":{"null" if value is None else value}}}'
        for put, value in zip(puts, values, strict=True)
    ]
    return f"[{','.join(parts)}]"


def _json(text: str) -> str:
    return codec.encode(text).decode()


def _quoted(text: Column) -> bytes:
    return msgspec.json.encode(text) if isinstance(text, str) else b'"' + _raw(text) + b'"'


def _raw(text: Column) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    # What a damaged page gives instead of a text may be anything; it need only hash to something else.
    return text if isinstance(text, bytes) else repr(text).encode()
