"""Packages on this machine: every byte that is read is held against the manifest first."""

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.errors import ArtifactDamaged, NotFound
from flyball.machine import package_files
from flyball.records import codec, exported
from flyball.records.evidence import Evidence
from flyball.records.keeping import Keeping
from flyball.records.signature import Signature
from flyball.records.unit import Lineage, Manifest
from flyball.stats.metrics import METRICS

T = TypeVar("T")

MANIFEST = "manifest.json"
LINEAGE = "lineage.json"
EVALUATION = "evaluation.json"
CODE_SPEEDUP = "code_speedup_one_row"
"""Evidence of a package of code that has a data format which is proven and slower: how many times as fast the code was."""
_UNLISTED = frozenset({"model/registered_model_meta", exported.FILE})
"""May lie there and is not in the manifest. The former MLflow writes beside a model that a person loads by its registered name, and nothing of ours reads it."""


class LocalPackages:
    """Reads packages; keeps nothing. Raises NotFound, and ArtifactDamaged for bytes that the manifest does not name."""

    def signature(self, package: Path) -> Signature:
        return _record(package, "signature.json", Signature)

    def is_whole(self, package: Path, manifest_digest: str) -> bool:
        try:
            verify_package(package, manifest_digest)
        except (ArtifactDamaged, NotFound, OSError):
            return False
        return True

    def monitored(self, package: Path, file: str) -> bytes | None:
        return checked_bytes(package, file) if file in read_manifest(package).files else None

    def lineage(self, package: Path) -> Lineage:
        return _record(package, LINEAGE, Lineage)

    def capture(self, package: Path) -> Keeping | None:
        """What flyball.yaml said of capture when it was made; None: it does not say."""
        return self.lineage(package).capture if LINEAGE in read_manifest(package).files else None

    def manifest(self, package: Path) -> Manifest:
        return read_manifest(package)

    def evaluation(self, package: Path) -> tuple[Evidence, ...]:
        return _record(package, EVALUATION, tuple[Evidence, ...])

    def metrics(self, package: Path) -> dict[str, float]:
        return {item.name: item.value for item in self.evaluation(package) if item.name in METRICS and item.value is not None}


def make_manifest(package: Path, kind: str) -> Manifest:
    """Of all files that lie in the package's directory now."""
    files = {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(package.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    return msgspec.convert({"files": files, "format": kind}, type=Manifest)


def read_manifest(package: Path) -> Manifest:
    """Raises NotFound without one, ArtifactDamaged when it is not a manifest."""
    try:
        content = package_files.whole(package, MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no package in {package}") from error
    except OSError as error:  # no right to read it, mostly
        raise NotFound(f"there is no package in {package} that can be read: {error.strerror}") from error
    try:
        return codec.decode(content, Manifest)
    except msgspec.MsgspecError as error:
        raise ArtifactDamaged(f"{package / MANIFEST} is not a manifest: {error}") from error


def checked_bytes(package: Path, name: str) -> bytes:
    """One file of a package. Raises ArtifactDamaged when it is absent, changed or not in the manifest."""
    expected = read_manifest(package).files.get(name)
    try:
        content = package_files.whole(package, name)
    except OSError as error:
        raise ArtifactDamaged(f"{package / name} cannot be read: {error.strerror}") from error
    _held_against(expected, hashlib.sha256(content).hexdigest(), package / name)
    return content


def _record(package: Path, name: str, kind: type[T]) -> T:
    try:
        return codec.decode(checked_bytes(package, name), kind)
    except msgspec.MsgspecError as error:
        raise ArtifactDamaged(f"{package / name} cannot be read: {error}") from error


def verify_package(package: Path, manifest_digest: str | None = None) -> Manifest:
    """Hold every byte against the manifest, and the manifest against `manifest_digest`. A file beside those of the manifest is damage too, and so is any link:
    code that nobody vouched for would be importable. Raises NotFound, ArtifactDamaged."""
    manifest = read_manifest(package)
    found = codec.digest(manifest)
    if manifest_digest is not None and found != manifest_digest:
        raise ArtifactDamaged(f"{package / MANIFEST} has the digest {found[:12]}…", expected=f"{manifest_digest[:12]}…")
    there = set(package_files.plain_files(package))
    for name, expected in manifest.files.items():
        try:
            digest = package_files.digest_of(package, name)
        except OSError as error:
            raise ArtifactDamaged(f"{package / name} cannot be read: {error.strerror}") from error
        _held_against(expected, digest, package / name)
    added = there - set(manifest.files) - _UNLISTED - {MANIFEST}
    if added:
        raise ArtifactDamaged(f"{package} holds {sorted(added)[0]!r}, which its manifest does not name")
    return manifest


def _held_against(expected: str | None, found: str, path: Path) -> None:
    if found != expected:
        raise ArtifactDamaged(
            f"{path} has the digest {found[:12]}…", expected=f"{expected[:12]}…" if expected else "a file of the manifest"
        )
