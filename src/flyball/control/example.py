"""A row that the champion takes, made from its reference: for a person to try it with."""

from typing import Any

from flyball.control.units import UnitShelf
from flyball.control.watched_files import WatchedFiles
from flyball.control.world import World
from flyball.monitoring.streams import Stream
from flyball.records.release import Champion
from flyball.records.signature import ColumnType


def example_row(world: World) -> dict[str, Any]:
    """The most usual value of each column. Empty: there is no champion yet."""
    champion = world.get("champion", world.model, Champion)
    if champion is None:
        return {}
    shelf = UnitShelf(world)
    streams = {
        stream.name: stream for stream in WatchedFiles(world, shelf).reference(champion.unit).streams if stream.role == "feature"
    }
    columns = shelf.served(champion.unit).signature.columns
    return {column.name: _usual(streams[column.name], column.type) for column in columns}


def example_label(world: World) -> Any:
    """A label that the champion takes."""
    champion = world.get("champion", world.model, Champion)
    classes = UnitShelf(world).served(champion.unit).signature.classes if champion else ()
    return classes[-1] if classes else 1.0


def _usual(stream: Stream, kind: ColumnType) -> Any:
    if kind is ColumnType.CATEGORY:
        return stream.categories[0] if stream.categories else "unknown"
    value = stream.heavy[0] if stream.heavy else (stream.edges[len(stream.edges) // 2] if stream.edges else 0.0)
    if kind is ColumnType.BOOLEAN:
        return bool(value)
    return round(value) if kind is ColumnType.INTEGER else float(f"{value:.6g}")
