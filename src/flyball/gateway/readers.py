"""What a route's requests may bring, and what reads it."""

import msgspec

from flyball.gateway.borders import Border, borders
from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.servable import accepted, tolerated
from flyball.gateway.tensors.reader import TensorReader
from flyball.gateway.validation import RowReader
from flyball.records.routing import Route, ServedUnit


class Readers:
    """Of one route, as its table has it: where not every unit could be loaded, requests may bring the same columns."""

    def __init__(self, declared: Route, last: ServedUnit, max_rows: int) -> None:
        """`last`: nobody is asked after it, so what neither it nor the champion takes is refused. Raises ArtifactDamaged when the units cannot understand the same
        request."""
        self._declared, self._max_rows = declared, max_rows
        self.signature = accepted(declared, last)
        columns, n_own, n_tolerated = self.signature.columns, len(declared.champion.signature.columns), len(tolerated(declared))
        self.own = columns[:n_own]
        """The champion's: those of a tensor that holds all of them."""
        self.tolerated = n_tolerated > 0
        """Whether columns may come that nobody takes."""
        self.rows = RowReader(self.signature, max_rows, n_tolerated)
        self.tensors = TensorReader(self.signature, n_own, max_rows, n_tolerated)
        self.builder = ColumnBuilder(msgspec.structs.replace(self.signature, columns=columns[: len(columns) - n_tolerated]))

    def where_last(self, last: ServedUnit) -> "Readers":
        """Of the same rows, for requests that are told to nobody after it."""
        same = accepted(self._declared, last) == self.signature
        return self if same else Readers(self._declared, last, self._max_rows)

    def borders(self, served: ServedUnit) -> tuple[Border, ...]:
        """What a request may hold and this unit does not take."""
        return borders(self.signature, served.signature)
