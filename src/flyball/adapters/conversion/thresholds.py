"""Split thresholds in single precision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rounded_down(thresholds: NDArray[Any]) -> NDArray[np.float32]:
    """The largest float32 not above each threshold: `x <= t` is then the same for every float32 x, which rounding to nearest would break."""
    exact = np.asarray(thresholds, dtype=np.float64)
    # Beyond float32 is infinite, and then one step down: the largest number. Below the least number there is none.
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
        return np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
