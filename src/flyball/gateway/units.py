"""Units in memory: every byte checked against the manifest, the model loaded, warmed up and timed, shared and given back."""

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import msgspec

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.deaths import dying_seconds
from flyball.gateway.runtimes.code import CodeRuntime
from flyball.gateway.runtimes.contract import CodeLimits, Columns, Runtime, ordinary
from flyball.gateway.runtimes.lightgbm import LightgbmRuntime
from flyball.gateway.runtimes.onnx import OnnxRuntime
from flyball.machine.package_files import digest_of, plain_files, whole
from flyball.records import background, codec
from flyball.records.routing import ServedUnit
from flyball.records.scores import Scores, checked
from flyball.records.signature import Signature
from flyball.records.unit import Format, Manifest

INLINE_SECONDS = 0.002
"""A model call up to this long runs on the event loop: handing it to a thread and back costs 0.1 ms and two context switches,
and nobody else waits longer than this for it."""

MANY_ROWS = 256
"""By which is timed what one more row takes."""

MODEL_FILES = {Format.ONNX: "model/model.onnx", Format.LIGHTGBM: "model/model.lgb", Format.CODE: "model/model.pkl"}
_CODE = "model/code/"


class LoadedModel:
    """The bytes of one version, ready to score; shared by every unit and table that routes to it."""

    def __init__(self, fingerprint: str, signature: Signature, runtime: Runtime, inline_rows: int) -> None:
        self.fingerprint = fingerprint
        """Manifest digest recomputed from the bytes that were read."""
        self.signature = signature
        self.runtime = runtime
        self.inline_rows = inline_rows
        """Up to this many rows the call is fast enough for the event loop; 0: never."""
        self.begun_rows = 0
        """Of so many at most `begin` may take a call; 0: there is no process to ask."""
        self.turn = asyncio.Lock()
        """Of calls of its process, in the order in which they came: used on the event loop only."""
        self.call_seconds = 0.0
        """What one row took when it was loaded."""
        self.deadline_seconds = CodeLimits().deadline_seconds
        """Of one call, where it is a code model's: then its process is ended."""
        self.start_seconds = 0.0
        """Of its process, as long as it took when it was loaded."""
        self.users = 0
        # A thread of its own (started with the first call that needs it): a slow model holds no other one up.
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def dying_seconds(self) -> float:
        """For those who wait behind its process's death."""
        return dying_seconds(self.start_seconds, self.deadline_seconds)

    def close(self) -> None:
        """May wait for a worker's last call: run it in a thread."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.runtime.close()

    def score(self, columns: Columns, n: int) -> Scores:
        """(n, n_scores), as the signature promises; raises ModelFailed for anything else."""
        return checked(self.runtime.score(columns, n), n, self.signature)

    def begin(self, columns: Columns, n: int) -> Awaitable[Scores] | None:
        """As `score`, on the event loop; None: in a thread it is (`Runtime.begin`)."""
        begun = self.runtime.begin(columns, n)
        return None if begun is None else self._checked(begun, n)

    async def _checked(self, begun: Awaitable[Scores], n: int) -> Scores:
        return checked(await begun, n, self.signature)


class Shelf:
    """Which models are loaded, and how many tables use each."""

    def __init__(self, limits: CodeLimits) -> None:
        self._limits = limits
        self._models: dict[tuple[str, str], LoadedModel] = {}

    def take(self, served: ServedUnit) -> LoadedModel:
        """The model of `served`, loaded if need be; each `take` needs a `give_back`. Raises ArtifactDamaged. Slow: never on the event loop."""
        key = _key(served)
        model = self._models.get(key)
        if model is None:
            model = self._models[key] = load(served, self._limits)
        model.users += 1
        return model

    def give_back(self, served: ServedUnit) -> Callable[[], None] | None:
        """One user less; the last one gets what closes the model (it may wait for a worker's call: run it in a thread)."""
        key = _key(served)
        model = self._models[key]
        model.users -= 1
        if model.users:
            return None
        del self._models[key]
        return model.close


def load(served: ServedUnit, limits: CodeLimits) -> LoadedModel:
    """Check, load, warm up. Raises ArtifactDamaged with what was found and expected."""
    package = Path(served.package)
    found = verified(package, served)
    known = _background(served, found.background)
    warm = ordinary(served.signature, known, 1)
    runtime: Runtime
    began = perf_counter()
    if served.format is Format.ONNX:
        runtime = OnnxRuntime(found.model, served.signature, limits.deadline_seconds)
    elif served.format is Format.LIGHTGBM:
        runtime = LightgbmRuntime(found.model, served.signature)
    else:
        name = MODEL_FILES[served.format]
        code = code_digests(found.manifest)
        runtime = CodeRuntime(package / name, found.manifest.files[name], code, served.signature, warm, limits)
    model = LoadedModel(found.fingerprint, served.signature, runtime, 0)
    model.deadline_seconds, model.begun_rows = limits.deadline_seconds, runtime.begun_rows
    model.start_seconds = perf_counter() - began
    if model.begun_rows:
        model.pool.submit(int).result()  # its thread stands before a call needs it, when there may be none to be had
    try:
        model.score(warm, 1)  # lazy allocations and imports happen now, not in a request
        model.call_seconds = _seconds(model, warm, 1)
        if runtime.steady:
            model.inline_rows = _timed(model, warm, ordinary(served.signature, known, MANY_ROWS))
    except ModelFailed as failed:
        model.close()
        raise ArtifactDamaged(f"unit {served.unit.id} cannot score an ordinary row: {failed.found}") from failed
    return model


def _background(served: ServedUnit, content: bytes) -> background.Background | None:
    """Rows that the package holds; None: an earlier Flyball made it. Raises ArtifactDamaged."""
    if not content:
        return None
    try:
        return codec.decode(content, background.Background)
    except msgspec.MsgspecError as unreadable:
        raise ArtifactDamaged(f"{background.FILE} of {served.unit.id} cannot be read: {unreadable}") from unreadable


class Verified(NamedTuple):
    """A package whose every byte is what its manifest says."""

    fingerprint: str
    """The manifest's digest, recomputed from the bytes on disk."""
    manifest: Manifest
    model: bytes
    background: bytes
    """Empty: there is none."""


def verified(package: Path, served: ServedUnit) -> Verified:
    """The package's bytes, read once; raises ArtifactDamaged unless all are as its manifest and the unit say."""
    try:
        manifest = codec.decode(whole(package, "manifest.json"), Manifest)
        refuse_unlisted(package, manifest)
        wanted_whole = {MODEL_FILES[served.format], background.FILE}
        found: dict[str, str] = {}
        kept: dict[str, bytes] = {}
        for name, wanted in manifest.files.items():
            if name in wanted_whole:
                kept[name] = whole(package, name)
                found[name] = hashlib.sha256(kept[name]).hexdigest()
            else:
                found[name] = digest_of(package, name)
            if found[name] != wanted:
                raise ArtifactDamaged(
                    f"{name} of {served.unit.id} has the digest {found[name][:12]}…",
                    expected=f"{wanted[:12]}…, as its manifest says",
                )
    except (OSError, msgspec.DecodeError) as unreadable:
        raise ArtifactDamaged(f"the package of {served.unit.id} at {package} cannot be read: {unreadable}") from unreadable
    if MODEL_FILES[served.format] not in found or manifest.format is not served.format:
        raise ArtifactDamaged(
            f"the package of {served.unit.id} is {manifest.format}", expected=f"{served.format} with {MODEL_FILES[served.format]}"
        )
    fingerprint = codec.digest(Manifest(files=found, format=manifest.format))
    if fingerprint != served.unit.manifest_digest:
        raise ArtifactDamaged(
            f"{served.unit.id} has the manifest {fingerprint[:12]}…", expected=f"{served.unit.manifest_digest[:12]}…, as routed"
        )
    return Verified(fingerprint, manifest, kept[MODEL_FILES[served.format]], kept.get(background.FILE, b""))


def code_digests(manifest: Manifest) -> dict[str, str]:
    """Of the package's own code, by place below `model/code`."""
    return {name.removeprefix(_CODE): digest for name, digest in manifest.files.items() if name.startswith(_CODE)}


def refuse_unlisted(package: Path, manifest: Manifest) -> None:
    """A file of code beside the listed ones would be imported unchecked, and so would all that lies behind a link. Raises ArtifactDamaged."""
    for name in plain_files(package):
        if name.startswith(_CODE) and name not in manifest.files:
            raise ArtifactDamaged(f"{name} is not in the manifest", expected="only listed files below model/code")


def _timed(model: LoadedModel, one_row: Columns, many_rows: Columns) -> int:
    """How many rows stay below INLINE_SECONDS, by timing 1 and MANY_ROWS. Only for a steady runtime. A code format never runs on the event loop: so many
    rows of a slow one would take longer than its deadline, and it could not be served at all."""
    model.score(many_rows, MANY_ROWS)
    one = min(_seconds(model, one_row, 1) for _ in range(5))
    many = min(_seconds(model, many_rows, MANY_ROWS) for _ in range(3))
    if one > INLINE_SECONDS:
        return 0
    slope = max((many - one) / (MANY_ROWS - 1), 1e-8)  # noise can make many rows look as fast as one: never infinite
    return min(1 + math.floor((INLINE_SECONDS - one) / slope), 4096)


def _seconds(model: LoadedModel, columns: Columns, n: int) -> float:
    begin = perf_counter()
    model.score(columns, n)
    return perf_counter() - begin


def _key(served: ServedUnit) -> tuple[str, str]:
    # The signature may be edited (limits) without new bytes: then it is another model to us.
    return served.unit.manifest_digest, codec.digest(served.signature)
