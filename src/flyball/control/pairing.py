"""The paired losses of a release in the order in which they were looked at: later looks only append, whatever comes late or is revised.

A confidence sequence holds at all looks together because what was seen stays as it was seen. After a restart the order is made anew from the records, by
when each row became usable; a row that became usable out of that order before the restart may then stand elsewhere.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.capture.join import Pairs
from flyball.records.signature import Task
from flyball.stats.losses import bounded_loss

Floats = npt.NDArray[np.float64]


class Losses(NamedTuple):
    champion: Floats
    challenger: Floats


class PairLog:
    """Of one release at a time."""

    def __init__(self) -> None:
        self._release = ""
        self._seen: set[int] = set()
        self._losses = Losses(np.zeros(0), np.zeros(0))

    def extend(self, release: str, pairs: Pairs, task: Task, scale: float) -> Losses:
        """All losses so far, with the pairs that were not there before at the end."""
        if release != self._release:
            self._release, self._seen, self._losses = release, set(), Losses(np.zeros(0), np.zeros(0))
        new = np.array([row not in self._seen for row in pairs.rows.tolist()], dtype=np.bool_)
        if new.any():
            labels = pairs.labels[new] if task == "regression" else pairs.labels[new].astype(np.int64)
            fresh = [bounded_loss(task, scores[new], labels, scale) for scores in (pairs.first, pairs.second)]
            self._losses = Losses(*(np.concatenate(both) for both in zip(self._losses, fresh, strict=True)))
            self._seen.update(pairs.rows[new].tolist())
        return self._losses
