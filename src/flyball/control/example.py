"""A row that the champion takes, made from its reference: for a person to try it with."""

from typing import Any

from flyball.control.units import UnitShelf
from flyball.control.watched_files import WatchedFiles
from flyball.control.world import World
from flyball.monitoring.streams import Stream
from flyball.records import example
from flyball.records.release import Champion


def example_row(world: World) -> dict[str, Any]:
    """The most usual value of each column; of one whose values nobody keeps (capture.fields), any that is taken. Empty: there is no champion yet."""
    champion = world.get("champion", world.model, Champion)
    if champion is None:
        return {}
    shelf = UnitShelf(world)
    streams = WatchedFiles(world, shelf).reference(champion.unit).streams
    usual = {stream.name: _usual(stream) for stream in streams if stream.role == "feature"}
    return example.example_row(shelf.served(champion.unit).signature, usual)


def example_label(world: World) -> Any:
    """A label that the champion takes."""
    champion = world.get("champion", world.model, Champion)
    classes = UnitShelf(world).served(champion.unit).signature.classes if champion else ()
    return classes[-1] if classes else 1.0


def _usual(stream: Stream) -> Any:
    """None: the reference has none."""
    if stream.kind == "category":
        return stream.categories[0] if stream.categories else None
    if not (stream.heavy or stream.edges):
        return None
    return stream.heavy[0] if stream.heavy else stream.edges[len(stream.edges) // 2]
