"""All values of one column at once: what is plainly right is taken in a few array operations, the rest is looked at value by value."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from flyball.errors import Fault
from flyball.gateway.fields import MAX_HINTS, ValueCheck, Wrong, shown
from flyball.gateway.narrow import NARROW
from flyball.gateway.tensors.datatypes import LAYOUT, WHOLE
from flyball.gateway.validation import MAX_FAULTS, as_array
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType

Array = np.ndarray[Any, Any]
Limits = tuple[float, float]
"""The least and the most."""

FEW = 4
"""Up to so many values a loop over them costs less than the array operations do to begin with."""

_PLAIN: dict[ColumnType, frozenset[type]] = {
    ColumnType.NUMBER: frozenset({int, float}),
    ColumnType.INTEGER: frozenset({int, float}),
    ColumnType.BOOLEAN: frozenset({bool}),
    ColumnType.CATEGORY: frozenset({str}),
}
"""JSON's types, of values that may fit."""

_EXACT = 2.0**53
"""Beyond it a float64 does not hold every whole number, and a limit would be compared with a rounded one."""


class ColumnCheck:
    """Decides over the values of one column. Every way takes `faults`, adds to it, and then returns what must not be used."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._single = ValueCheck(column)
        boolean = column.type is ColumnType.BOOLEAN
        low = 0.0 if boolean else -MAX_FLOAT32 if column.minimum is None else column.minimum
        high = 1.0 if boolean else MAX_FLOAT32 if column.maximum is None else column.maximum
        self._floats, self._integers = (low, high), (math.ceil(low), math.floor(high))
        self._narrow = {datatype: as_written(low, high) for datatype, as_written in NARROW.items()}
        """As those types have them that numpy compares as wider ones."""
        self._whole = column.type in (ColumnType.INTEGER, ColumnType.BOOLEAN)
        missing = column.missing
        # fmin and fmax pass over NaN; minimum and maximum let it through, and no comparison holds for it.
        self._least, self._most = (np.fmin.reduce, np.fmax.reduce) if missing else (np.minimum.reduce, np.maximum.reduce)
        self._plain = _PLAIN[column.type] | ({type(None)} if missing else frozenset())

    def listed(self, values: list[Any], datatype: str, faults: list[Fault], first: int = 0) -> Array:
        """Of JSON: None is missing. `first`: the row of the first of them."""
        if self.column.type is ColumnType.BOOLEAN and datatype != "BOOL":
            values = [bool(value) if type(value) in (int, float) and value in (0, 1) else value for value in values]
        if len(values) > FEW:
            kinds = set(map(type, values))
            taken = self._at_once(values, kinds, WHOLE.get(datatype)) if kinds <= self._plain else None
            if taken is not None:
                return taken
        known = len(faults)
        taken = self._one_by_one(values, faults, first)
        if datatype in WHOLE and len(faults) == known:
            self._as_declared(values, datatype, faults, first)
        return taken

    def _as_declared(self, values: list[Any], datatype: str, faults: list[Fault], first: int) -> None:
        """JSON's numbers as the tensor's own whole type has them: who says INT32 and sends 1.5 means something else than one of the two."""
        least, most = WHOLE[datatype]
        numbers = ((at, value) for at, value in enumerate(values, first) if value is not None)
        wrong = ((at, value) for at, value in numbers if not (least <= value <= most and value == math.floor(value)))
        words = f"a whole number from {least} to {most}, as {datatype} says"
        faults += [Wrong(shown(value), words).at(f"rows[{at}].{self.column.name}") for at, value in islice(wrong, MAX_FAULTS)]

    def numbers(self, values: Array, datatype: str, faults: list[Fault]) -> Array:
        """Of any numeric datatype or of BOOL's bytes: NaN is missing. The array may be of a wider type than the datatype, whose values have to fit it."""
        limits = self._narrow.get(datatype) or self._of_kind(values)
        if not self._fit(values, limits):
            wrong = np.flatnonzero(~self._fitting(values, limits))[:MAX_FAULTS].tolist()
            faults += [self._wrong_number(values[at].item()).at(f"rows[{at}].{self.column.name}") for at in wrong]
            return values
        if datatype in WHOLE and values.dtype != LAYOUT[datatype] and not _whole_within(values, *WHOLE[datatype]):
            self._as_declared(values.tolist(), datatype, faults, 0)
            return values
        return values.astype(np.float32, copy=not values.flags.aligned).reshape(len(values), 1)

    def texts(self, values: Sequence[bytes], faults: list[Fault]) -> Array:
        """Of BYTES: UTF-8. Empty is missing, which bytes have no other word for; JSON has, and there it is a category like any other. Distinct ones are
        decoded once: categories come again and again."""
        known = {raw: _text(raw) for raw in set(values)}
        if all(text is not None and self._takes(text) for text in known.values()):
            array = np.empty(len(values), dtype=object)
            array[:] = [known[raw] for raw in values]
            return array.reshape(len(values), 1)
        wrongs = ((at, known[raw], self._wrong_text(known[raw])) for at, raw in enumerate(values))
        found = ((at, text, wrong) for at, text, wrong in wrongs if wrong is not None)
        for at, text, wrong in islice(found, MAX_FAULTS):
            self._add(faults, at, text, wrong)
        return np.empty(0, dtype=object)

    def absent(self, n: int, faults: list[Fault], known: dict[bool, Array]) -> Array:
        """The column did not come at all. `known`: those of the same request (True: of texts): all of a kind are one array, which nobody can
        write to. Two hundred of a hundred thousand rows each would be made on the event loop, from a request of one column."""
        wrong = self._single.absent()[1]
        if wrong is not None:
            faults.append(wrong.at(f"rows[0].{self.column.name}"))
            return np.empty(0)
        kind = self.column.type is ColumnType.CATEGORY
        if kind not in known:
            known[kind] = np.full((n, 1), "", dtype=object) if kind else np.full((n, 1), np.nan, dtype=np.float32)
            known[kind].flags.writeable = False
        return known[kind]

    def _at_once(self, values: list[Any], kinds: set[type], declared: tuple[int, int] | None) -> Array | None:
        """None: look at each. `declared`: what the tensor's type can hold, if it is a whole one."""
        if self.column.type is ColumnType.CATEGORY:
            fit = all(self._single.takes(text) for text in set(values) if text is not None)
            return as_array(self.column, values, len(values)) if fit else None
        try:
            # int64 is exact; None becomes NaN.
            array = np.array(values, dtype=np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            return None
        if declared is not None and not _whole_within(array, *declared):
            return None
        if not self._fit(array, self._of_kind(array)) or (len(kinds) > 1 and int in kinds and (np.abs(array) >= _EXACT).any()):
            return None
        return array.astype(np.float32).reshape(len(values), 1)

    def _one_by_one(self, values: list[Any], faults: list[Fault], first: int) -> Array:
        used: list[Any] = []
        allowed = len(faults) + MAX_FAULTS
        for at, value in enumerate(values, first):
            taken, wrong = self._single.present(value)
            used.append(taken)
            if wrong is not None:
                self._add(faults, at, value, wrong)
                if len(faults) >= allowed:
                    break
        return as_array(self.column, used, len(values)) if not faults else np.empty(0)

    def _add(self, faults: list[Fault], at: int, value: Any, wrong: Wrong) -> None:
        meant = self._single.hint(value) if len(faults) < MAX_HINTS else ""
        faults.append(wrong.at(f"rows[{at}].{self.column.name}", meant))

    def _of_kind(self, values: Array) -> Limits:
        return self._floats if values.dtype.kind == "f" else self._integers

    def _fit(self, values: Array, limits: Limits) -> bool:
        """Whether all fit, in the fewest operations."""
        low, high = limits
        if not (low <= self._least(values) and self._most(values) <= high):
            return bool(self._fitting(values, limits).all())  # all of them may be missing
        return not self._whole or values.dtype.kind != "f" or bool(self._are_whole(values).all())

    def _fitting(self, values: Array, limits: Limits) -> Array:
        """Which of them fit. Limits are rounded to the array's own type: 0.1 as FP32 is not more than a maximum of 0.1."""
        floating = values.dtype.kind == "f"
        low, high = limits
        fits: Array = (values >= low) & (values <= high)
        if floating and self._whole:
            fits &= np.floor(values) == values
        return fits | np.isnan(values) if floating and self.column.missing else fits

    def _are_whole(self, values: Array) -> Array:
        whole: Array = np.floor(values) == values
        return whole | np.isnan(values) if self.column.missing else whole

    def _wrong_number(self, value: float) -> Wrong:
        if isinstance(value, float) and not math.isfinite(value):
            return Wrong("NaN" if math.isnan(value) else "an infinity", self._single.expected)
        if self.column.type is ColumnType.BOOLEAN:
            return Wrong(f"{value!r}", "0 or 1" + (" or NaN" if self.column.missing else ""))
        return Wrong(f"{value!r}", self._single.expected)

    def _takes(self, text: str) -> bool:
        """Of bytes."""
        return self._single.takes(text) or (not text and self.column.missing)

    def _wrong_text(self, text: str | None) -> Wrong | None:
        if text is None:
            return Wrong("bytes that are not UTF-8", self._single.expected)
        return None if self._takes(text) else self._single.present(text)[1]


def _whole_within(values: Array, least: int, most: int) -> bool:
    """NaN is missing, and of any type."""
    if values.dtype.kind != "f":
        return least <= int(values.min()) and int(values.max()) <= most
    there = values[~np.isnan(values)]
    return bool((there == np.floor(there)).all()) and (not there.size or bool(least <= there.min() and there.max() <= most))


def _text(raw: bytes) -> str | None:
    """None: it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
