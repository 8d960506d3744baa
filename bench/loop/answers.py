"""Losses of units: models as they are, and answering through a map that the product's own step fitted."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from bench.loop.fits import Fits, Window
from bench.loop.streams import Floats
from flyball.adapters.steps.mended import mapped
from flyball.errors import DataError

UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
"""Of no consequence here: which rows a map learned from, its unit says."""


class Unit(NamedTuple):
    window: Window
    change: int | None = None
    """Block of the change since which it learned; None: it learned from before, too."""
    mapped: tuple[int, int] | None = None
    """Blocks [first, last) that its map was fitted on; None: it has none."""

    @property
    def name(self) -> str:
        window = f"{self.window.first}-{self.window.last}{'w' if self.window.half_life else ''}"
        return window if self.mapped is None else f"{window}+{self.mapped[0]}-{self.mapped[1]}"

    @property
    def learned(self) -> int:
        """Block at which it has learned from nothing."""
        return self.window.last if self.mapped is None else max(self.mapped[1], self.window.last)


class Answers:
    """Of one stream at one seed."""

    def __init__(self, fits: Fits) -> None:
        self.fits, self.stream = fits, fits.stream
        self._mapped: dict[Unit, Floats | None] = {}

    def of(self, unit: Unit) -> Floats:
        """Of each row of the stream; NaN where it learned from it. Raises LookupError where no map can be fitted. (n_rows,)"""
        if unit.mapped is None:
            return self.fits.losses(unit.window)
        if unit not in self._mapped:
            self._mapped[unit] = self._losses(unit.window, unit.mapped)
        found = self._mapped[unit]
        if found is None:
            raise LookupError(unit.name)
        return found

    def maps(self, unit: Unit) -> bool:
        """Whether its map can be fitted."""
        try:
            self.of(unit)
        except LookupError:
            return False
        return True

    def _losses(self, window: Window, learned: tuple[int, int]) -> Floats | None:
        stream = self.stream
        scores = self.fits.scores(window).astype(np.float64)
        if stream.task == "binary":
            scores = np.clip(scores, 0.0, 1.0)  # 32 bits of a 1 may be a little more
        table = scores if scores.ndim == 2 else scores[:, None]
        rows, offset = stream.rows(*learned), window.last * stream.block
        try:
            found = mapped(stream.task, table[rows.start - offset : rows.stop - offset], stream.labels[rows], UNTIL)  # type: ignore[arg-type]
        except DataError:
            return None
        losses = self.fits.losses_of(window, found.of(table))
        losses[: rows.stop] = np.nan
        return losses
