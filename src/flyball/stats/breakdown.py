"""How many labels must be false for a mean to stand where it stands: what no test can defend against, as a number.

Source: the breakdown point (Donoho & Huber 1983). A loss in [0, 1] moves by at most what is left to its end, so the most that k false labels do to a mean
is the sum of the k largest such moves over n. No estimator of a mean does better without knowing who sent which label.
"""

import numpy as np
import numpy.typing as npt


def labels_to_move(losses: npt.ArrayLike, target: float) -> int | None:
    """The fewest of these rows whose labels, made false, could bring the mean of their losses in [0, 1] from where it is to `target`; None: no number can.

    Rows that are sent in addition are not counted: a label of an unknown id joins nothing, so whoever floods can only change rows that are there.

    >>> labels_to_move([0.1] * 100, 0.2), labels_to_move([0.1] * 100, 0.1), labels_to_move([0.1] * 100, 0.01)
    (12, 0, 90)
    """
    values = np.asarray(losses, dtype=np.float64)
    if values.size == 0 or not 0.0 <= target <= 1.0:
        return None
    wanted = (target - float(values.mean())) * values.size
    if abs(wanted) < 1e-9 * values.size:  # rounding of the mean
        return 0
    room = np.sort(1.0 - values if wanted > 0 else values)[::-1]
    reached = np.flatnonzero(np.cumsum(room) >= abs(wanted) * (1.0 - 1e-12))
    return int(reached[0]) + 1 if reached.size else None
