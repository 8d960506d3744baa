"""Runs, models and versions in memory: a shipped fake that keeps the registry's contract."""

import shutil
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from flyball.adapters.packages import verify_package
from flyball.errors import NotFound
from flyball.records import codec
from flyball.records.unit import Lineage, Manifest, Version


class MemoryRegistry:
    """Keeps the packages' bytes below a directory of its own, the rest in memory. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._versions: dict[str, list[Version]] = {}
        self._aliases: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def register(
        self, model: str, package: Path, lineage: Lineage, manifest: Manifest, metrics: Mapping[str, float], at: datetime
    ) -> Version:
        digest = codec.digest(manifest)
        with self._lock:
            known = self._versions.setdefault(model, [])
            for version in known:
                if (version.lineage.run_key, version.manifest_digest) == (lineage.run_key, digest):
                    return version
            verify_package(package, digest)
            number = len(known) + 1
            shutil.copytree(package, self._place(model, number))
            version = Version(
                model=model, number=number, manifest_digest=digest, format=manifest.format, created_at=at,
                lineage=msgspec.structs.replace(lineage, mlflow_run=f"memory-{number}"), metrics=dict(metrics),
            )  # fmt: skip
            known.append(version)
            return version

    def versions(self, model: str) -> tuple[Version, ...]:
        return tuple(self._versions.get(model, ()))

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        version = self._version(model, number)
        package = self._place(model, number)
        verify_package(package, manifest_digest or version.manifest_digest)
        return package

    def mark(self, model: str, number: int, alias: str) -> None:
        self._version(model, number)
        self._aliases[model, alias] = number

    def marked(self, model: str, alias: str) -> int | None:
        """The version that an alias points at."""
        return self._aliases.get((model, alias))

    def _version(self, model: str, number: int) -> Version:
        for version in self._versions.get(model, ()):
            if version.number == number:
                return version
        raise NotFound(f"the model {model!r} has no version {number}")

    def _place(self, model: str, number: int) -> Path:
        return self._root / model / str(number)
