"""Snapshots as versions of a Delta table: immutable, addressed by content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from flyball.errors import ArtifactDamaged, NotFound, StoreUnavailable
from flyball.records import codec
from flyball.records.unit import SnapshotRef

_DIGEST = "flyball.content"
_ORDER = "flyball.order"


class DeltaSnapshots:
    """Tables below one directory. A version is written once; the same content is the same version."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, table: str, frame: pl.DataFrame, *, time: str, order: Sequence[str]) -> SnapshotRef:
        """Keep `frame`; a new Delta version only when its content is new. The content's digest is part of the Delta commit, so a kill leaves
        either both or nothing. `order`: columns that sort the rows without ties. Raises StoreUnavailable."""
        from deltalake import CommitProperties, DeltaTable, write_deltalake
        from deltalake.exceptions import DeltaError

        path = self._root / table
        ordered = frame.sort(order)
        digest = content_digest(ordered)
        version = self._version_of(path, digest)
        if version is None:
            path.mkdir(parents=True, exist_ok=True)
            try:
                write_deltalake(
                    str(path), ordered, mode="overwrite", schema_mode="overwrite",
                    commit_properties=CommitProperties(custom_metadata={_DIGEST: digest, _ORDER: "\n".join(order)}),
                    # Old snapshots must stay readable for as long as a version's lineage names them.
                    configuration={"delta.enableExpiredLogCleanup": "false", "delta.logRetentionDuration": "interval 36500 days"},
                )  # fmt: skip
            except (DeltaError, OSError) as error:
                raise StoreUnavailable(f"the snapshot of {table!r} could not be written: {error}") from error
            version = self._version_of(path, digest)
            if version is None:
                version = DeltaTable(str(path)).version()
        times = ordered[time]
        return SnapshotRef(
            table=table, version=version, content_digest=digest, schema_digest=schema_digest(ordered), rows=ordered.height,
            since=times.min(), until=times.max(),  # type: ignore[arg-type]
        )  # fmt: skip

    def read(self, ref: SnapshotRef) -> pl.DataFrame:
        """The rows as they were written, in the same order. Raises NotFound; ArtifactDamaged when the bytes are not those of the reference."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        from flyball.adapters import delta_files

        path = self._root / ref.table
        try:
            table = DeltaTable(str(path), version=ref.version)
            order = next((str(entry[_ORDER]).split("\n") for entry in table.history(1) if _ORDER in entry), [])
            frame = delta_files.read(path, ref.version)
        except TableNotFoundError as error:
            raise NotFound(f"there is no snapshot table {ref.table!r}") from error
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            raise ArtifactDamaged(f"snapshot {ref.table}@{ref.version} cannot be read: {error}") from error
        if order:
            frame = frame.sort(order)
        if content_digest(frame) != ref.content_digest:
            raise ArtifactDamaged(
                f"snapshot {ref.table}@{ref.version} does not hold what was written",
                expected=f"content {ref.content_digest[:12]}…",
            )
        return frame

    def _version_of(self, path: Path, digest: str) -> int | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            entries = DeltaTable(str(path)).history()
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"the snapshots in {path} cannot be listed: {error}") from error
        return next((int(entry["version"]) for entry in entries if entry.get(_DIGEST) == digest), None)


def schema_digest(frame: pl.DataFrame) -> str:
    """Of names and types, in order."""
    return codec.digest([[name, str(kind)] for name, kind in frame.schema.items()])


def content_digest(frame: pl.DataFrame) -> str:
    """SHA-256 over names, types and values in order: the same for the same rows whatever wrote them. Arrow's and Parquet's own bytes are not."""
    total = hashlib.sha256(schema_digest(frame).encode())
    for column in frame.iter_columns():
        total.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            filled = column.fill_null("")
            total.update(filled.str.len_bytes().to_numpy().astype("<u4").tobytes())
            total.update("".join(filled.to_list()).encode())
        elif isinstance(column.dtype, pl.Datetime):
            total.update(column.to_physical().fill_null(0).to_numpy().astype("<i8").tobytes())
        elif column.dtype == pl.Boolean:
            total.update(column.fill_null(value=False).to_numpy().tobytes())
        else:
            kind = "<f8" if column.dtype.is_float() else "<i8"
            total.update(column.fill_null(0).to_numpy().astype(kind).tobytes())
    return total.hexdigest()
