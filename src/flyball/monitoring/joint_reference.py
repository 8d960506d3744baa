"""The streams of a reference's joint directions."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import exchangeable, joint, streams
from flyball.monitoring.joint import Directions
from flyball.monitoring.joint_rows import project
from flyball.monitoring.reference import Reference

Ints = NDArray[np.int64]


def with_joint(
    reference: Reference, directions: Directions, columns: Mapping[str, Any], windows: tuple[Ints, ...], *, thin: bool = False
) -> Reference:
    """The reference with a stream for each direction, counted in the rows that did not make it.

    `columns` and `windows` as for `joint.build`; `thin` as in blocks.Cut. From then on a profile is to be taken of `columns | joint_rows.project(directions, columns)`.
    """
    projected = project(directions, columns)
    parts = joint.to_count(windows)
    counted = np.concatenate(parts) if parts else np.arange(0)
    if not projected or counted.size == 0:
        return reference
    made = []
    for name, values in projected.items():
        bins = streams.bins_for_numbers(name, "joint", values[counted])
        per_window = np.array([streams.bin_of(bins, values[part]) for part in parts])
        made.append(
            exchangeable.Counted(msgspec.structs.replace(bins, counts=tuple(per_window.sum(axis=0).tolist())), per_window)
        )
    found = exchangeable.examine(made, thin=("joint",) if thin else ())
    features = tuple(stream for stream in reference.streams if stream.role != "prediction")
    predictions = tuple(stream for stream in reference.streams if stream.role == "prediction")
    return msgspec.structs.replace(reference, streams=features + found.streams + predictions, notes=reference.notes + found.notes)
