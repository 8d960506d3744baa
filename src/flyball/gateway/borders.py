"""What one unit does not take of what its route takes: it is not asked about such rows, and whoever stands in for it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flyball.gateway.fields import shown
from flyball.gateway.narrow import NARROW
from flyball.gateway.validation import Rows, left_out
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Signature, Unknown, less, limit_words

Array = np.ndarray[Any, Any]
_NUMBERS = frozenset({ColumnType.NUMBER, ColumnType.INTEGER})


def borders(accepted: Signature, own: Signature) -> "tuple[Border, ...]":
    """Of the columns in which a unit with the signature `own` is narrower than its route; empty: it takes all that the route does."""
    ours = {column.name: column for column in own.columns}
    places = [(at, column, ours[column.name]) for at, column in enumerate(accepted.columns) if column.name in ours]
    return tuple(
        Border(at, mine, needed=taken.missing and not mine.missing)
        for at, taken, mine in places
        if (taken.missing and not mine.missing) or any(less(taken, mine))
    )


class Border:
    """Of one column."""

    def __init__(self, at: int, own: Column, *, needed: bool) -> None:
        """`at`: its place among the columns that the route takes; `needed`: it may be missing there, and the unit cannot do without it."""
        self._at, self._own, self._needed = at, own, needed
        limited = own.type in _NUMBERS
        self._low = own.minimum if limited and own.minimum is not None else -MAX_FLOAT32
        self._high = own.maximum if limited and own.maximum is not None else MAX_FLOAT32
        self._known = frozenset(own.categories or ()) if own.unknown is Unknown.REFUSE else None

    def beyond(self, rows: Rows, some: Sequence[int] | None) -> list[int]:
        """Which of some rows of a request (None: of all) the unit does not take. Of arrays the model's numbers, float32, are compared: what it cannot tell
        from a limit is within it."""
        if rows.tuples is not None:
            at = self._at
            return [row for row in (range(rows.n) if some is None else some) if not self._takes(rows.tuples[row][at])]
        values = rows.columns[self._own.name][:, 0]
        found = self._outside(values if some is None else values[some], (rows.rounded or {}).get(self._own.name, ""))
        return found if some is None else [some[row] for row in found]

    def words(self, rows: Rows, row: int) -> str:
        """Why the unit does not take it. The value stands behind the colon: capture that hides values keeps what is before it."""
        name, own = self._own.name, self._own
        value = rows.tuples[row][self._at] if rows.tuples is not None else rows.columns[name][row, 0]
        value = value.item() if isinstance(value, np.generic) else value
        if left_out(value) or value != value or (self._needed and rows.tuples is None and value == ""):  # noqa: PLR0124 - only NaN differs from itself
            return f"needs the column {name!r}, which the request left out (another unit of its route does without it)"
        what = "other than its categories"
        if own.type in _NUMBERS:
            what = f"below {limit_words(self._low)}" if value < self._low else f"above {limit_words(self._high)}"
        return f"does not take {name!r} {what} (another unit of its route does): found {shown(value)}"

    def _takes(self, value: Any) -> bool:
        """As the unit's own signature would. An empty category is not held to be left out."""
        if left_out(value):
            return not self._needed
        if self._own.type is ColumnType.CATEGORY:
            return self._known is None or value in self._known
        return bool(self._low <= value <= self._high)

    def _outside(self, values: Array, datatype: str) -> list[int]:
        """Of arrays, which have no other word for a missing category than an empty one."""
        if values.dtype == object:
            listed = values.tolist()
            empty = None if self._own.missing or self._needed else ""
            strange = {text for text in set(listed) if not self._takes(text or empty)}
            return [row for row, text in enumerate(listed) if text in strange] if strange else []
        low, high = NARROW[datatype](self._low, self._high) if datatype else (self._low, self._high)
        # No comparison holds for NaN.
        found: Array = ~((values >= low) & (values <= high)) if self._needed else (values < low) | (values > high)
        return np.flatnonzero(found).tolist()
