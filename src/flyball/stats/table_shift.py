"""What moved between two samples of pairs: one variable, the other, or what one says of the other.

For a sample S and pairs (A, B) the likelihood-ratio statistic of S against (A, B) divides exactly, two ways (the chain rule of relative entropy; Goodman 1970):

    G²(S; A, B) = G²(S; A) + G²(S; B | A) = G²(S; B) + G²(S; A | B)

Rows of a day share its luck, so each statistic is divided by a design effect, learned from how blocks of the first sample differ among themselves beyond
their rows, and compared with F (Rao & Scott, Annals of Statistics 12, 1984; Thomas & Rao 1987). With few
blocks little is known of how they differ, and only large moves are told. Assumes exchangeable blocks; with one block, independent rows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Part(NamedTuple):
    p: float
    """Of nothing having moved in it, at one look."""
    excess: float
    """Its statistic beyond what chance brings, per degree of design effect; at least 0."""


class TableShift(NamedTuple):
    """A: rows of the table; B: its columns."""

    a: Part
    b: Part
    b_given_a: Part
    a_given_b: Part

    @property
    def share_of_a(self) -> float | None:
        """Of all that moved, what A's own distribution explains, in [0, 1]; None: nothing moved."""
        return _share(self.a, self.b_given_a)

    @property
    def share_of_b(self) -> float | None:
        """The same of B's own."""
        return _share(self.b, self.a_given_b)


def table_shift(before: npt.ArrayLike, now: npt.ArrayLike) -> TableShift:
    """Counts by block, (n_blocks, n_a, n_b) each. Raises ValueError where the tables do not have the same cells, or one has no rows.

    >>> then, moved = [[[40, 10], [10, 40]]] * 8, [[[72, 18], [2, 8]]] * 8  # more of the first row, and its columns as before
    >>> found = table_shift(then, moved)
    >>> found.a.p < 1e-6, round(found.b_given_a.p, 2), round(found.share_of_a, 2)
    (True, 1.0, 1.0)
    """
    then, new = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if then.ndim != 3 or new.ndim != 3 or then.shape[1:] != new.shape[1:] or not then.sum() or not new.sum():
        raise ValueError(f"counts (n_blocks, n_a, n_b) of the same cells with rows, found {then.shape} and {new.shape}")
    turned = then.swapaxes(1, 2), new.swapaxes(1, 2)
    return TableShift(
        a=_part(then.sum(axis=2)[:, None, :], new.sum(axis=2)[:, None, :]),
        b=_part(then.sum(axis=1)[:, None, :], new.sum(axis=1)[:, None, :]),
        b_given_a=_part(then, new),
        a_given_b=_part(*turned),
    )


def _part(before: Floats, now: Floats) -> Part:
    """(n_blocks, n_strata, n_cells): do the samples differ within strata?"""
    from scipy.special import fdtrc

    statistic, freedom = _g_square(np.stack([before.sum(axis=0), now.sum(axis=0)]))
    if freedom == 0:
        return Part(1.0, 0.0)
    effect, known_by = _design_effect(before, now)
    scaled = statistic / effect
    return Part(float(fdtrc(freedom, known_by, scaled / freedom)), max(scaled - freedom, 0.0))


def _design_effect(before: Floats, now: Floats) -> tuple[float, float]:
    """How many times the statistic varies as much as with independent rows, and on how many degrees of freedom that is known."""
    blocks = before[before.sum(axis=(1, 2)) > 0]
    if len(blocks) < 2:
        return 1.0, 1e9
    among, freedom = _g_square(blocks)
    if freedom == 0:
        return 1.0, 1e9
    sizes = blocks.sum(axis=(1, 2)), now.sum(axis=(1, 2))
    # Beyond rows' own noise a block adds in proportion to its rows; blocks of the two samples need not be of one size.
    extra = max(among / freedom - 1.0, 0.0) / _typical(sizes[0])
    weights = np.asarray([1.0 / sizes[0].sum(), 1.0 / sizes[1].sum()])
    per_extra = float(weights @ np.asarray([_typical(size) for size in sizes]) / weights.sum())
    effect, ratio = 1.0 + extra * per_extra, max(among / freedom, 1.0)
    # What is extrapolated to larger blocks is known less well (delta method on the ratio, of relative variance 2 / freedom).
    return effect, freedom * (effect / (ratio * max(per_extra / _typical(sizes[0]), 1.0))) ** 2


def _typical(sizes: Floats) -> float:
    """Rows in the block of a row taken at random."""
    return float((sizes**2).sum() / sizes.sum())


def _g_square(samples: Floats) -> tuple[float, int]:
    """(n_samples, n_strata, n_cells) → statistic of sample against cell within strata, and its degrees of freedom."""
    in_cell, in_sample = samples.sum(axis=0), samples.sum(axis=2)
    rows = in_cell.sum(axis=1)
    expected = in_sample[:, :, None] * in_cell[None] / np.where(rows > 0, rows, 1.0)[None, :, None]
    there = samples > 0
    statistic = 2.0 * float((samples[there] * np.log(samples[there] / expected[there])).sum())
    freedom = ((in_sample > 0).sum(axis=0) - 1).clip(0) @ ((in_cell > 0).sum(axis=1) - 1).clip(0)
    return max(statistic, 0.0), int(freedom)


def _share(own: Part, rest: Part) -> float | None:
    total = own.excess + rest.excess
    return own.excess / total if total > 0.0 else None
