"""The reference of a unit that answers a version's scores through a map: where it rises the same rows in the same bins, whose edges have moved."""

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.records.maps import AnswerMap, ClassMap


def remapped(reference: Reference, answers: AnswerMap) -> Reference:
    """What `reference` of the version is for the unit. Its baseline stays the version's: the loss that was accepted when it was registered.

    A prediction whose bins the map makes one is not watched any more: where scores become equal, counts of them say nothing. Nor are those of many classes: what
    becomes of the most probable one depends on all the others.
    """
    moved = [stream if stream.role != "prediction" else _moved(stream, answers) for stream in reference.streams]
    return msgspec.structs.replace(reference, streams=tuple(stream for stream in moved if stream is not None))


def _moved(stream: Stream, answers: AnswerMap) -> Stream | None:
    if isinstance(answers, ClassMap):
        return None
    if stream.kind != "number":
        return stream
    edges = np.asarray(stream.edges, dtype=np.float32)
    heavy = np.isin(edges, np.asarray(stream.heavy, dtype=np.float32))
    before = np.nextafter(edges, np.float32(-np.inf))
    # A score of 64 bits is counted as the nearest of 32: what becomes of all that are counted as a value begins halfway to the one below it. The edge
    # after a heavy value, and the last one, end what is counted as the value below them.
    middle = (before.astype(np.float64) + edges.astype(np.float64)) / 2.0
    ends = np.append(np.isin(before[:-1], edges[heavy]), True)
    there = answers.of(middle).astype(np.float32)
    there = np.where(ends, np.nextafter(there, np.float32(np.inf)), there)
    if np.any(np.diff(there) <= 0.0):
        return None
    means = tuple(float(f"{mean:.6g}") for mean in answers.of(stream.means))
    return msgspec.structs.replace(stream, edges=_shortest(there), heavy=_shortest(there[heavy]), means=means)


def _shortest(values: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(str(value)) for value in values)
