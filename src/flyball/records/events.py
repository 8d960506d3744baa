"""The ledger's records: what happened, in order, each bound to the one before."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from flyball.records import codec

GENESIS = "0" * 64
"""`prev` of the first event."""


class Put(msgspec.Struct, frozen=True):
    """One state after an event: (kind, key) → value. `value=None` removes it. Part of the event, so that state is its projection."""

    kind: str
    key: str
    value: dict[str, Any] | None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event before it has a place in the ledger."""

    at: datetime
    """UTC, by the clock of the world it happened in (real or simulated)."""
    kind: str
    """`noun.participle`: `release.advanced`, `window.closed`."""
    subject: str
    """What it is about: `release:r-0007`, `version:3`, `model:shop`."""
    actor: str
    """`control`, `autopilot`, `user:NAME`, `gateway:0`."""
    payload: dict[str, Any] = {}
    puts: tuple[Put, ...] = ()
    key: str | None = None
    """Idempotence key: a second draft with the same key changes nothing and answers with the first one's event."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger."""

    seq: int
    at: datetime
    kind: str
    subject: str
    actor: str
    payload: dict[str, Any]
    puts: tuple[Put, ...]
    key: str | None
    prev: str
    hash: str


class Head(msgspec.Struct, frozen=True):
    """The last entry: kept in the database and, fsynced, in a file beside it."""

    seq: int
    hash: str


class Stored(msgspec.Struct, frozen=True):
    """A projected state and the event that wrote it."""

    kind: str
    key: str
    value: dict[str, Any]
    seq: int


def chain_hash(seq: int, draft: Draft, prev: str) -> str:
    """SHA-256 over the entry's canonical bytes and its predecessor's hash. Everything but the hash itself is covered."""
    body = codec.encode([seq, draft.at, draft.kind, draft.subject, draft.actor, draft.payload, draft.puts, draft.key, prev])
    return hashlib.sha256(body).hexdigest()


def seal(seq: int, draft: Draft, prev: str) -> Event:
    """Give a draft its place."""
    return Event(
        seq=seq, at=draft.at, kind=draft.kind, subject=draft.subject, actor=draft.actor, payload=draft.payload,
        puts=draft.puts, key=draft.key, prev=prev, hash=chain_hash(seq, draft, prev),
    )  # fmt: skip


def unseal(event: Event) -> Draft:
    """The draft that an event was made of; `chain_hash(event.seq, unseal(event), event.prev) == event.hash` when it is whole."""
    return Draft(
        at=event.at, kind=event.kind, subject=event.subject, actor=event.actor,
        payload=event.payload, puts=event.puts, key=event.key,
    )  # fmt: skip
