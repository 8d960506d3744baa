"""The reference of a unit that answers a version's scores through a rising map: the same rows in the same bins, whose edges have moved."""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream

Floats = npt.NDArray[np.float64]
Map = Callable[[npt.ArrayLike], Floats]
"""Rising."""


def remapped(reference: Reference, answers: Map) -> Reference:
    """What `reference` of the version is for the unit. Its baseline stays the version's: the loss that was accepted when it was registered.

    A prediction whose bins the map makes one is not watched any more: where scores become equal, counts of them say nothing.
    """
    streams = [stream if stream.role != "prediction" else _moved(stream, answers) for stream in reference.streams]
    return msgspec.structs.replace(reference, streams=tuple(stream for stream in streams if stream is not None))


def _moved(stream: Stream, answers: Map) -> Stream | None:
    if stream.kind != "number":
        return stream
    edges = np.asarray(stream.edges, dtype=np.float32)
    # The last edge is the float32 after the highest score, as is the one after a heavy value: so they stay.
    after = np.append(np.isin(np.nextafter(edges[:-1], np.float32(-np.inf)), np.asarray(stream.heavy, dtype=np.float32)), True)
    below = np.where(after, np.nextafter(edges, np.float32(-np.inf)), edges)
    there = answers(below).astype(np.float32)
    there = np.where(after, np.nextafter(there, np.float32(np.inf)), there)
    if np.any(np.diff(there) <= 0.0):
        return None
    heavy = answers(np.asarray(stream.heavy)).astype(np.float32)
    return msgspec.structs.replace(
        stream, edges=_shortest(there), heavy=_shortest(heavy), means=tuple(float(f"{mean:.6g}") for mean in answers(stream.means)),
    )  # fmt: skip


def _shortest(values: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(str(value)) for value in values)
