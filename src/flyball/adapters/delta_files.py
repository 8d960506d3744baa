"""Reading a Delta table of this machine, whatever its directory is called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable


def read(path: Path, version: int | None = None) -> pl.DataFrame:
    """The rows of that version; None: of the newest. Raises what Delta Lake and Polars do, for they are told apart by whoever asks."""
    return pl.read_delta(_Here(path, version))


class _Here(DeltaTable):  # type: ignore[misc]  # its types are not read
    """Names files as they are called. Delta Lake names them below the table's URL (`My%20Shop/t/…`), and Polars opens that as a path."""

    def __init__(self, path: Path, version: int | None) -> None:
        super().__init__(str(path), version=version)
        self._path = path
        self._root = self.table_uri.removeprefix("file://")

    def file_uris(self, *given: Any, **more: Any) -> list[str]:
        return self._named(super().file_uris(*given, **more))

    def deletion_vectors(self) -> Any:
        # Polars finds them by the names of the files: by others it would read rows that were deleted.
        found = pl.DataFrame(super().deletion_vectors())
        return found.with_columns(pl.Series("filepath", self._named(found["filepath"].to_list()), dtype=pl.String))

    def _named(self, uris: Sequence[str]) -> list[str]:
        """Only the table's own directory: below it Delta Lake itself calls a partition's directory `town=New%20York`."""
        plain = [uri.removeprefix("file://") for uri in uris]
        return [str(self._path / uri.removeprefix(self._root)) if uri.startswith(self._root) else uri for uri in plain]
