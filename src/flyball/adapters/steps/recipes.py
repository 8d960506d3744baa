"""On which of the rows before the holdout a model is fitted, and how much each of them weighs."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.adapters.steps.situation import Rows

Floats = NDArray[np.float64]


class Recipe(NamedTuple):
    """Of one fit."""

    name: str
    """As an entrant of a tournament is called; empty: a plain run."""
    since_us: int | None = None
    """Rows before it are left out; None: none are."""
    last_us: int | None = None
    """Rows older than so much before the newest of them are left out; None: none are."""
    half_life_us: int | None = None
    """A row so much older than the newest weighs half as much; None: all weigh the same."""
    parameters: dict[str, Any] | None = None
    """In place of those that tuning would seek; None: they are sought where `train.tuning` is declared."""

    def of(self, rows: Rows) -> Rows:
        """What it looks at, of the rows before the holdout."""
        since = self.since_us
        if self.last_us is not None and rows.event_us.size:
            since = int(rows.event_us.max()) - self.last_us + 1
        return rows if since is None else rows.where(rows.event_us >= since)

    def weights(self, rows: Rows) -> Floats | None:
        """(n_rows,) with a mean of 1; None: all weigh the same."""
        if self.half_life_us is None or not rows.event_us.size:
            return None
        ages = (rows.event_us.max() - rows.event_us) / self.half_life_us
        halved: Floats = 0.5**ages
        return np.asarray(halved / halved.mean())

    @property
    def content(self) -> list[Any]:
        """What of it decides the fit: nothing of a plain run, so that its cache keys are what they were."""
        return [] if self == PLAIN else [self.since_us, self.last_us, self.half_life_us, self.parameters]


PLAIN = Recipe("")
