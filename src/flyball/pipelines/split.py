"""The holdout: the newest rows, never trained on."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError

MIN_ROWS = 20
"""On either side. With fewer, no interval of any metric says anything (a share of 20 rows is known to ±22 points at best)."""


def newest(event_us: NDArray[np.int64], holdout: timedelta | float) -> NDArray[np.bool_]:
    """Which rows are held out: (n_rows,) bool. Rows of one instant are never divided, so that nothing of it leaks.

    `event_us`: (n_rows,) microseconds UTC, in any order. `holdout`: a duration back from the newest row, or a share of the rows.
    """
    if event_us.size == 0:
        return np.zeros(0, dtype=np.bool_)
    if isinstance(holdout, timedelta):
        boundary = int(event_us.max()) - holdout // timedelta(microseconds=1)
        return np.asarray(event_us > boundary)
    ordered = np.sort(event_us)
    cut = min(event_us.size - 1, int(np.floor(event_us.size * (1.0 - holdout))))
    return np.asarray(event_us >= ordered[cut])


def check(held_out: NDArray[np.bool_], labels: NDArray[np.float64] | NDArray[np.int64], *, classification: bool) -> None:
    """Refuse, in words, a division that nothing can be learnt or measured on.

    `labels`: (n_rows,) class indices or values. Raises DataError.
    """
    for side, rows in (("to train on", ~held_out), ("in the holdout", held_out)):
        n = int(rows.sum())
        if n < MIN_ROWS:
            raise DataError(
                f"evaluate.holdout leaves {n} rows {side} (of {held_out.size})", expected=f"at least {MIN_ROWS}",
                next_step="change evaluate.holdout, or give more history",
            )  # fmt: skip
        if classification and np.unique(labels[rows]).size < 2:
            raise DataError(
                f"evaluate.holdout leaves a single class {side} ({n} rows)", expected="at least two classes on either side",
                next_step="change evaluate.holdout, or give more history",
            )  # fmt: skip


def check_fit(labels: NDArray[np.float64] | NDArray[np.int64], *, classification: bool) -> None:
    """Refuse rows that nothing can be learnt from: (n_rows,) class indices or values. Raises DataError."""
    if labels.size < MIN_ROWS:
        raise DataError(f"{labels.size} rows to fit on", expected=f"at least {MIN_ROWS}", next_step="take a longer history")
    if classification and np.unique(labels).size < 2:
        raise DataError(
            f"a single class in the {labels.size} rows to fit on", expected="at least two", next_step="take a longer history"
        )
