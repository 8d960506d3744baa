"""Slices: rows that one or two conditions choose, over bins that the reference fixes, and what the loss was in each of them on the holdout.

Everything about a row that matters here is one small number per feature, the code of its bin, so counts and sums of a slice merge exactly over windows and processes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks as in_time
from flyball.monitoring import counting
from flyball.records.signature import ColumnType, Signature

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

BINS = 8
"""Equally filled bins of a number. An eighth of the rows is the finest that one condition chooses; two go down to a sixty-fourth."""
CATEGORIES = 40
"""The most frequent ones; what is rarer is one bin."""
MOST_ROWS = 20_000
"""Of the holdout, evenly over its time: they travel with the package, a byte per row and feature."""


FILE = "slices.json"
"""In a package."""


class Binned(msgspec.Struct, frozen=True, kw_only=True):
    """A feature's bins. The last code is that of missing values; categories have one before it for all others."""

    name: str
    edges: tuple[float, ...] = ()
    """Numbers: inner edges, ascending; a value belongs to the bin that it closes."""
    categories: tuple[str, ...] | None = None
    """None: a number."""
    declared: bool = False
    """A slice that the user declared, in place of a feature: code 0 is in it."""

    @property
    def missing(self) -> int:
        return len(self.edges) + 1 if self.categories is None else len(self.categories) + 1


class Condition(msgspec.Struct, frozen=True, kw_only=True, order=True):
    feature: int
    low: int
    """Codes from `low` to `high`, both included."""
    high: int


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...]


class SliceReference(msgspec.Struct, frozen=True, kw_only=True):
    """The holdout as slices need it. Encode with `records.codec`: a byte per row and feature."""

    format: int = 1
    features: tuple[Binned, ...]
    rows: int
    codes: bytes
    """(rows, features) uint8."""
    losses: bytes
    """(rows,) uint16: the bounded loss in steps of 1/65,535."""
    blocks: bytes
    """(rows,) uint16: number of the row's window."""


class SliceRows(NamedTuple):
    """Labelled rows of mature windows."""

    codes: Codes
    """(n_rows, n_features)"""
    losses: Floats
    """Bounded. (n_rows,)"""
    blocks: NDArray[np.int64]
    """Number of each row's window: rows of one share its luck."""


def build(signature: Signature, columns: Mapping[str, Any], losses: ArrayLike, blocks: ArrayLike) -> SliceReference:
    """Of the holdout's rows: its features, bounded losses and the number of each row's window, in order of time.

    Raises DataError without rows, or when they are not of one length.
    """
    loss, block = np.asarray(losses, dtype=np.float64), np.asarray(blocks, dtype=np.int64)
    sizes = {name: len(columns[name]) for name in signature_names(signature)} | {"losses": loss.size, "blocks": block.size}
    if len(set(sizes.values())) != 1 or not loss.size:
        raise DataError(f"columns of {sizes} rows", expected="one value of each per row, and at least one row")
    features = tuple(
        _of_category(column.name, columns[column.name])
        if column.type is ColumnType.CATEGORY
        else _of_number(column.name, columns[column.name])
        for column in signature.columns
    )
    some = in_time.sampled(loss.size, -(-loss.size // MOST_ROWS))
    codes = codes_of(features, columns)[some]
    kept = np.where(np.isfinite(loss), loss, 0.0)[some]
    return SliceReference(
        features=features,
        rows=len(codes),
        codes=codes.tobytes(),
        losses=np.round(kept * 65_535).astype("<u2").tobytes(),
        blocks=np.unique(block[some], return_inverse=True)[1].astype("<u2").tobytes(),
    )


def window_numbers(n: int, event_us: ArrayLike | None, window: timedelta) -> NDArray[np.int64]:
    """Number of each row's window, in order of time; of its block where times are unknown or span too few windows."""
    numbers = np.zeros(n, dtype=np.int64)
    for number, part_of in enumerate(in_time.cut(n, event_us, window).windows, start=1):
        numbers[part_of] = number
    return numbers  # 0: rows of windows with too few of them


def signature_names(signature: Signature) -> tuple[str, ...]:
    return tuple(column.name for column in signature.columns)


def rows_of(reference: SliceReference) -> SliceRows:
    """The holdout's rows."""
    codes = np.frombuffer(reference.codes, dtype=np.uint8).reshape(reference.rows, len(reference.features))
    losses = np.frombuffer(reference.losses, dtype="<u2").astype(np.float64) / 65_535
    return SliceRows(codes, losses, np.frombuffer(reference.blocks, dtype="<u2").astype(np.int64))


def codes_of(features: Sequence[Binned], columns: Mapping[str, Any]) -> Codes:
    """(n_rows, n_features); numbers as float with NaN, categories as str with ''. Raises DataError for an absent column."""
    absent = [feature.name for feature in features if feature.name not in columns]
    if absent:
        raise DataError(f"rows without {', '.join(absent)}", expected="every feature of the model")
    return np.column_stack([_codes(feature, columns[feature.name]) for feature in features])


def of_declared(names: Sequence[str], inside: NDArray[np.bool_], losses: Floats, blocks: NDArray[np.int64]) -> SliceReference:
    """Holdout rows with declared slices in place of features. `inside`: (n_rows, n_slices)"""
    return SliceReference(
        features=tuple(Binned(name=name, categories=(name,), declared=True) for name in names),
        rows=len(inside),
        codes=codes_of_declared(inside).tobytes(),
        losses=np.round(losses * 65_535).astype("<u2").tobytes(),
        blocks=np.unique(blocks, return_inverse=True)[1].astype("<u2").tobytes(),
    )


def codes_of_declared(inside: NDArray[np.bool_]) -> Codes:
    return (~inside).astype(np.uint8)


def chosen(conditions: Sequence[Condition], codes: Codes) -> NDArray[np.bool_]:
    """Which rows a slice chooses. (n_rows,)"""
    mask = np.ones(len(codes), dtype=bool)
    for condition in conditions:
        column = codes[:, condition.feature]
        mask &= (column >= condition.low) & (column <= condition.high)
    return mask


def part(rows: SliceRows, mask: NDArray[np.bool_]) -> SliceRows:
    """Those rows."""
    return SliceRows(rows.codes[mask], rows.losses[mask], rows.blocks[mask])


def conditions_of(feature: Binned, place: int) -> tuple[Condition, ...]:
    """All that may be said of one feature: up to an edge, above it, between neighbouring ones, a category, missing."""
    return _conditions(place, feature.missing, feature.categories is None)


@lru_cache(maxsize=1024)
def _conditions(place: int, last: int, number: bool) -> tuple[Condition, ...]:  # noqa: FBT001 - the kind of a feature
    spans = {(code, code) for code in range(last + 1)}
    if number:
        spans |= {(0, high) for high in range(last - 1)} | {(low, last - 1) for low in range(1, last)}
    return tuple(Condition(feature=place, low=low, high=high) for low, high in sorted(spans))


def words_of(features: Sequence[Binned], conditions: Sequence[Condition]) -> str:
    """As `age > 62 and town = 'Oslo'`."""
    return " and ".join(_words(features[condition.feature], condition) for condition in conditions)


def _words(feature: Binned, condition: Condition) -> str:
    if feature.declared:
        return feature.name
    if condition.low == feature.missing:
        return f"{feature.name} is missing"
    if feature.categories is not None:
        if condition.low == len(feature.categories):
            return f"{feature.name} is none of the {len(feature.categories)} that the holdout has"
        return f"{feature.name} = {feature.categories[condition.low]!r}"
    low = "" if condition.low == 0 else f"{feature.edges[condition.low - 1]:.6g}"
    high = "" if condition.high >= len(feature.edges) else f"{feature.edges[condition.high]:.6g}"
    if low and high:
        return f"{low} < {feature.name} ≤ {high}"
    if not low and not high:
        return f"{feature.name} is not missing"
    return f"{feature.name} > {low}" if low else f"{feature.name} ≤ {high}"


def _of_number(name: str, values: Any) -> Binned:
    present = counting.numbers(values)
    present = present[np.isfinite(present)]
    if not present.size:
        return Binned(name=name)
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    return Binned(name=name, edges=tuple(edges[edges < present.max()].tolist()))


def _of_category(name: str, values: Any) -> Binned:
    ranked = sorted(Counter(value for value in counting.texts(values) if value).items(), key=lambda item: (-item[1], item[0]))
    return Binned(name=name, categories=tuple(value for value, _ in ranked[:CATEGORIES]))


def _codes(feature: Binned, values: Any) -> Codes:
    if feature.categories is not None:
        places = {value: code for code, value in enumerate(feature.categories)}
        other = len(feature.categories)
        codes = [feature.missing if not value else places.get(value, other) for value in counting.texts(values)]
        return np.asarray(codes, dtype=np.uint8)
    numbers = counting.numbers(values)
    found = np.searchsorted(np.asarray(feature.edges), numbers, side="left")
    return np.where(np.isnan(numbers), feature.missing, found).astype(np.uint8)
