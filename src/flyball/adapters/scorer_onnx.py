"""Scores rows with a registered package, outside the gateway."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from flyball.adapters.model_input import frame_of_mappings
from flyball.adapters.packages import LocalPackages, checked_bytes
from flyball.adapters.runtimes import MODEL_FILES, Model, open_model
from flyball.errors import Conflict
from flyball.records.scores import Scores
from flyball.records.signature import Signature
from flyball.records.unit import Format


class PackageScorer:
    """Models stay loaded, by directory. `in_child`: only a child process may run a code format."""

    def __init__(self, *, in_child: bool = False) -> None:
        self._in_child = in_child
        self._opened: dict[Path, tuple[Signature, Model]] = {}

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> Scores:
        """(n_rows, n_scores). Raises ArtifactDamaged, NotFound; Conflict for a code format outside a child."""
        signature, run = self.opened(package)
        return run(frame_of_mappings(rows, signature))

    def score_frame(self, package: Path, frame: pl.DataFrame) -> Scores:
        """The same for a frame of Float32 and String columns (adapters/model_input.py)."""
        return self.opened(package)[1](frame)

    def opened(self, package: Path) -> tuple[Signature, Model]:
        if package not in self._opened:
            packages = LocalPackages()
            kind, signature = packages.manifest(package).format, packages.signature(package)
            if kind is Format.CODE and not self._in_child:
                raise Conflict("this version is a code format, and no server process runs foreign code",
                               next_step="send the rows to the gateway: it has a worker process for it")  # fmt: skip
            content = checked_bytes(package, f"model/{MODEL_FILES[kind]}")
            self._opened[package] = (signature, open_model(kind, content, signature))
        return self._opened[package]
