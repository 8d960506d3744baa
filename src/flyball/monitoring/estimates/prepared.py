"""A reference made ready for any number of windows: what hangs on it alone is made once, and kept for as long as it is.

Only time hangs on what is kept: of the same rows a process that starts anew makes the same again.
"""

import numpy as np

from flyball.monitoring.estimates import outcomes, tables
from flyball.monitoring.estimates.rows import EstimationReference


class Prepared:
    """One version's. Some 8 bytes a value beside the reference."""

    def __init__(self, reference: EstimationReference) -> None:
        self.reference = reference
        self.columns = tables.columns_of(reference)
        self.labels = np.asarray(reference.labels)
        self.blocks = np.asarray(reference.blocks, dtype=np.int64)
        self.folds = outcomes.folds_of(self.blocks)
