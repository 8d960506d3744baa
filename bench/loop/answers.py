"""Losses of units: models as they are, and with a map over their scores that is fitted anew at the end of every block on what is mature by then."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.loop.fits import Fits, Window
from bench.loop.streams import Floats
from flyball.stats.monotone import rising_map

MAPPED = 3
"""Newest mature blocks that a map is fitted on."""


class Unit(NamedTuple):
    window: Window
    change: int | None = None
    """Block of the change since which it learned; None: it learned from before, too."""
    mapped: bool = False

    @property
    def name(self) -> str:
        window = f"{self.window.first}-{self.window.last}{'w' if self.window.half_life else ''}"
        return f"{window}+" if self.mapped else window


class Answers:
    """Of one stream at one seed."""

    def __init__(self, fits: Fits) -> None:
        self.fits, self.stream = fits, fits.stream
        self._mapped: dict[tuple[Window, int], Floats] = {}

    def of(self, unit: Unit, delay: int) -> Floats:
        """Of each row of the stream; NaN where the model learned from it. (n_rows,)"""
        if not unit.mapped:
            return self.fits.losses(unit.window)
        if (unit.window, delay) not in self._mapped:
            self._mapped[unit.window, delay] = self._losses(unit.window, delay)
        return self._mapped[unit.window, delay]

    def _losses(self, window: Window, delay: int) -> Floats:
        block, offset = self.stream.block, window.last * self.stream.block
        scores, labels = self.fits.scores(window), self.stream.labels
        answers = scores.astype(np.float64)
        for b in range(window.last, self.stream.blocks):
            until = b - delay  # at the end of block b - 1, so many blocks have their labels
            first = max(until - MAPPED, window.last)
            if until > first:
                rows = slice(first * block - offset, until * block - offset)
                mapped = _map(scores[rows], labels[first * block : until * block])
                asked = slice(b * block - offset, (b + 1) * block - offset)
                answers[asked] = mapped(scores[asked])
        return self.fits.losses_of(window, answers)


def _map(scores: NDArray[np.float32], labels: Floats) -> Callable[[NDArray[np.float32]], Floats]:
    """The product's own; the scores as they are, where rows say that they order outcomes the wrong way round."""
    found = rising_map(np.clip(scores.astype(np.float64), 0.0, 1.0), labels)
    if found is None:
        return lambda asked: asked.astype(np.float64)
    _, points = found
    return lambda asked: np.interp(asked.astype(np.float64), *points)
