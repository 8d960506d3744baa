"""What a route's requests may bring, and what reads it."""

import msgspec

from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.servable import accepted, idle
from flyball.gateway.tensors.reader import TensorReader
from flyball.gateway.validation import RowReader
from flyball.records.routing import Route


class Readers:
    """Of one route, as its table has it: where not every unit could be loaded, requests may bring the same."""

    def __init__(self, declared: Route, max_rows: int) -> None:
        """Raises ArtifactDamaged when the units cannot understand the same request."""
        self.signature = accepted(declared)
        columns, n_own, n_idle = self.signature.columns, len(declared.champion.signature.columns), len(idle(declared))
        self.own = columns[:n_own]
        """The champion's: those of a tensor that holds all of them."""
        self.idle = n_idle > 0
        """Whether columns may come that nobody takes."""
        self.rows = RowReader(self.signature, max_rows, n_idle)
        self.tensors = TensorReader(self.signature, n_own, max_rows, n_idle)
        self.builder = ColumnBuilder(msgspec.structs.replace(self.signature, columns=columns[: len(columns) - n_idle]))
