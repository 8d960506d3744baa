"""Rows of windows with what their labels were, as far as rows are kept."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from flyball.capture.join import LabelJoin
from flyball.control.observe import Observation, WindowKey
from flyball.control.samples import SampledRows, together


class Sampled(NamedTuple):
    """Rows with their features, and what their labels were."""

    rows: SampledRows
    labels: Any
    """(n_rows,) NaN: none."""


def sampled(observation: Observation, keys: Sequence[WindowKey], join: LabelJoin) -> Sampled:
    """Of windows in order of time, at least one."""
    parts = [_of_window(observation, key, join) for key in keys]
    return Sampled(together([part.rows for part in parts]), np.concatenate([part.labels for part in parts]))


def _of_window(observation: Observation, key: WindowKey, join: LabelJoin) -> Sampled:
    outcomes, sample = join.outcomes(*key, observation.grid.end_of(*key)), observation.rows(key)
    of = dict(zip(outcomes.ids, outcomes.labels.tolist(), strict=True))
    return Sampled(sample, np.array([of.get(name, np.nan) for name in sample.ids], dtype=np.float64))
