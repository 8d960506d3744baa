"""Rows that a model takes, drawn from what its training data looked like."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.adapters.packages import checked_bytes
from flyball.errors import ArtifactDamaged
from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature


def streams_of(package: Path) -> dict[str, Stream]:
    """Feature → what the reference knows of it. Empty: the package brings no reference."""
    try:
        reference = codec.decode(checked_bytes(package, "reference.json"), Reference)
    except (ArtifactDamaged, msgspec.MsgspecError):
        return {}
    return {stream.name: stream for stream in reference.streams if stream.role == "feature"}


def draw_rows(signature: Signature, streams: dict[str, Stream], n: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    """`n` rows, column by column: independent draws, so that trees are walked on many paths."""
    columns = {column.name: _values(column, streams.get(column.name), n, generator) for column in signature.columns}
    return [{name: values[at] for name, values in columns.items()} for at in range(n)]


def _values(column: Column, stream: Stream | None, n: int, generator: np.random.Generator) -> list[Any]:
    if column.type is ColumnType.BOOLEAN:
        return [bool(each) for each in generator.integers(0, 2, n)]
    if column.type is ColumnType.CATEGORY:
        known = column.categories or (stream.categories if stream else ()) or ("a",)
        return [known[at] for at in generator.integers(0, len(known), n)]
    low, high = _range(column, stream)
    drawn = generator.uniform(low, high, n)
    if column.type is ColumnType.INTEGER:
        return [int(each) for each in np.clip(np.round(drawn), np.ceil(low), np.floor(high))]
    # Six digits, as data look like: a float of 17 digits costs more to parse than anybody's row does.
    return [min(max(float(f"{each:.6g}"), low), high) for each in drawn]


def _range(column: Column, stream: Stream | None) -> tuple[float, float]:
    seen = [*stream.edges, *stream.heavy] if stream is not None and stream.kind == "number" else []
    low = min(seen, default=0.0)
    high = max(seen, default=low + 100.0)
    low = low if column.minimum is None else max(low, column.minimum)
    high = high if column.maximum is None else min(high, column.maximum)
    return low, max(low, high)
