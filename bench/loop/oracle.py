"""The best in hindsight: which models, at which blocks, with so many retrainings. By dynamic programming over all that were fitted."""

from collections.abc import Sequence

import numpy as np

from bench.loop.answers import Answers
from bench.loop.fits import Window
from bench.loop.governors import WINDOWS, window_at
from bench.loop.streams import FIRST, Floats


def models(blocks: int) -> tuple[Window, ...]:
    """On all rows and on two recent windows, at the end of every block."""
    return tuple(dict.fromkeys(window_at(end, size) for end in range(FIRST, blocks) for size in WINDOWS))


def best(answers: Answers, delay: int, most: int) -> Floats:
    """Mean loss of the answered blocks with 0, 1, … `most` retrainings, each of which may change to any model that could be fitted by then. (most + 1,)

    O(blocks² · models + blocks² · most).
    """
    blocks = answers.stream.blocks
    costs = _costs(answers, delay, [Window(0, FIRST), *models(blocks)])
    first = np.concatenate([np.full(FIRST, np.inf), _cumulative(answers, Window(0, FIRST))[FIRST:]])
    found = [first]
    for _ in range(most):
        before = found[-1]
        through = np.array(
            [min((before[i] + costs[i, j] for i in range(FIRST + 1, j)), default=np.inf) for j in range(blocks + 1)]
        )
        found.append(np.minimum(before, through))
    return np.array([each[blocks] for each in found]) / (blocks - FIRST)


def _costs(answers: Answers, delay: int, windows: Sequence[Window]) -> Floats:
    """[i, j]: the least loss over blocks i … j − 1 of one model whose rows had their labels before block i."""
    blocks = answers.stream.blocks
    costs = np.full((blocks + 1, blocks + 1), np.inf)
    for window in windows:
        cumulative = _cumulative(answers, window)
        for i in range(max(window.last + delay, FIRST + 1), blocks):
            costs[i, i + 1 :] = np.minimum(costs[i, i + 1 :], cumulative[i + 1 :] - cumulative[i])
    return costs


def _cumulative(answers: Answers, window: Window) -> Floats:
    """Loss of blocks from the first answered one to before each. (blocks + 1,)"""
    known = np.nan_to_num(answers.fits.block_losses(window))
    known[:FIRST] = 0.0
    return np.concatenate([[0.0], np.cumsum(known)])
