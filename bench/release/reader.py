"""An independent reader of what a project left on the disk: sqlite3, json, msgpack and hashlib over the raw bytes, none of Flyball's own code.

It knows the formats from the documentation of the ledger, the segments and the packages; where it and the product disagree, one of them is wrong.
"""

import hashlib
import json
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

SLOT_BYTES = 4096
MAGIC = b"\x89FLYCAP1"
COLUMNS = "seq, at, kind, subject, actor, payload, puts, key, prev, hash"


class Entry(NamedTuple):
    """A row of the ledger, its texts as they lie there."""

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

    @property
    def told(self) -> Any:
        return json.loads(self.payload)

    @property
    def put(self) -> dict[tuple[str, str], Any]:
        return {(each["kind"], each["key"]): each["value"] for each in json.loads(self.puts)}


class Ledger(NamedTuple):
    entries: list[Entry]
    states: dict[tuple[str, str], tuple[Any, int]]
    epoch: int
    inner: tuple[int, str]
    outer: tuple[int, str] | None
    """Head of the file beside the database; read before it."""

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def all(self, kind: str) -> dict[str, Any]:
        return {key: value for (each, key), (value, _) in self.states.items() if each == kind}


def read_ledger(state: Path) -> Ledger:
    """One consistent look, also while others write."""
    outer = newest_slot((state / "HEAD").read_bytes())
    with closing(sqlite3.connect(f"file:{state / 'flyball.db'}?mode=ro", uri=True, timeout=20, isolation_level=None)) as db:
        db.execute("BEGIN")
        entries = [Entry(*row) for row in db.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq")]  # noqa: S608 - a constant
        states = {
            (kind, key): (json.loads(value), seq)
            for kind, key, value, seq in db.execute("SELECT kind, key, value, seq FROM states")
        }
        epoch, seq, hash_ = db.execute("SELECT epoch, seq, hash FROM control").fetchone()
    return Ledger(entries, states, epoch, (seq, hash_), outer)


def chain_faults(ledger: Ledger) -> list[str]:
    """The chain computed anew, gaps, both heads, the fold of the puts, the epochs."""
    faults: list[str] = []
    hashes, folded, epochs, keys = {0: "0" * 64}, {}, [0], set()
    for place, entry in enumerate(ledger.entries, 1):
        if entry.seq != place:
            return [*faults, f"entry {place} is missing, {entry.seq} stands in its place"]
        if entry.prev != hashes[place - 1] or entry_hash(entry) != entry.hash:
            faults.append(f"entry {place} does not follow from the one before it")
        hashes[place] = entry.hash
        folded.update({key: (value, place) for key, value in entry.put.items()})
        if entry.kind == "control.claimed":
            epochs.append(entry.told["epoch"])
        if entry.key is not None and entry.key in keys:
            faults.append(f"entry {place} has the key {entry.key} of an earlier one")
        keys.add(entry.key)
    end = (len(ledger.entries), hashes[len(ledger.entries)])
    if ledger.inner != end:
        faults.append(f"the database's head is {ledger.inner}, its last entry {end}")
    if ledger.outer is None or ledger.outer[0] > end[0] or hashes[ledger.outer[0]] != ledger.outer[1]:
        faults.append(f"the head file says {ledger.outer}, the ledger ends with {end}")
    if {key: value for key, value in folded.items() if value[0] is not None} != ledger.states:
        faults.append("the states are not the fold of the puts")
    if epochs != list(range(len(epochs))) or ledger.epoch != epochs[-1]:
        faults.append(f"the epochs are {epochs[1:]}, the last one {ledger.epoch}")
    return faults


def entry_hash(entry: Entry) -> str:
    """SHA-256 over the canonical JSON array of all columns but the last."""
    texts = [json.dumps(text, ensure_ascii=False) for text in (entry.at, entry.kind, entry.subject, entry.actor)]
    key = "null" if entry.key is None else json.dumps(entry.key, ensure_ascii=False)
    body = ",".join([str(entry.seq), *texts, entry.payload, entry.puts, key, json.dumps(entry.prev)])
    return hashlib.sha256(f"[{body}]".encode()).hexdigest()


def captured(state: Path) -> list[dict[str, Any]]:
    """Every complete record of every segment. Raises ValueError on a damaged one; a torn last frame is what a kill may leave."""
    return [
        msgspec.msgpack.decode(payload)
        for path in sorted((state / "capture").glob("*.seg"))
        for payload in payloads(path.read_bytes())
    ]


def payloads(data: bytes) -> Iterator[bytes]:
    if len(data) < len(MAGIC):
        return
    if not data.startswith(MAGIC):
        raise ValueError("a segment without its magic")
    at = len(MAGIC)
    while at + 8 <= len(data):
        length, checksum = struct.unpack_from("<II", data, at)
        payload = data[at + 8 : at + 8 + length]
        if len(payload) < length:
            return
        if zlib.crc32(payload) != checksum:
            raise ValueError(f"a frame at {at} whose checksum is wrong")
        yield payload
        at += 8 + length


def package_faults(package: Path, manifest_digest: str) -> list[str]:
    """Every file against the manifest, and the manifest against its digest."""
    manifest = json.loads((package / "manifest.json").read_bytes())
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    faults = [] if hashlib.sha256(canonical).hexdigest() == manifest_digest else [f"the manifest of {package} is another one"]
    there = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()} - {"manifest.json"}
    if there != set(manifest["files"]):
        faults.append(f"{package} holds {sorted(there ^ set(manifest['files']))} against its manifest")
    both = sorted(there & set(manifest["files"]))
    changed = [name for name in both if hashlib.sha256((package / name).read_bytes()).hexdigest() != manifest["files"][name]]
    return faults + [f"{package / name} is not what its manifest says" for name in changed]


class Registered(NamedTuple):
    """What MLflow's own tables say."""

    run_keys: list[str]
    """Of versions, one each."""
    runs: list[tuple[str, str]]
    """(run key, status)"""
    aliases: dict[str, str]


def read_mlflow(state: Path) -> Registered:
    with closing(sqlite3.connect(f"file:{state / 'mlflow.db'}?mode=ro", uri=True, timeout=20)) as db:
        versions = db.execute(
            "SELECT value FROM model_version_tags WHERE key = 'flyball.run_key' ORDER BY CAST(version AS INTEGER)"
        )
        run_keys = [key for (key,) in versions]
        runs = db.execute(
            "SELECT t.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE t.key = 'flyball.run_key'"
        ).fetchall()
        aliases = dict(db.execute("SELECT alias, CAST(version AS TEXT) FROM registered_model_aliases"))
    return Registered(run_keys, runs, aliases)


def newest_slot(data: bytes) -> tuple[int, str] | None:
    found: list[tuple[int, str]] = []
    for at in (0, SLOT_BYTES):
        body, _, check = data[at : at + SLOT_BYTES].rstrip().rpartition(b" ")
        if body and check == b"%08x" % zlib.crc32(body):
            head = json.loads(body)
            found.append((head["seq"], head["hash"]))
    return max(found, default=None)
