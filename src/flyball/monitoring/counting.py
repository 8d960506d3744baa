"""Columns as they come (numpy, lists, Polars, Arrow, pandas), counted without a copy of more than a piece."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = ""
"""How a missing category is captured."""
PIECE = 1 << 16
"""Values sorted at once: a quarter of a megabyte stays in the cache."""

Ints = NDArray[np.int64]
Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]


def numbers(values: Any) -> Float32s:
    """Numbers as the model sees them: float32, missing as NaN. Otherwise 0.1 of a request would not equal 0.1 of the reference."""
    listed = _numeric(values, "Float32")
    listed = listed if isinstance(listed, np.ndarray) and listed.dtype != object else np.asarray(listed, dtype=np.float64)
    with np.errstate(over="ignore"):  # 1e300 becomes inf, which falls above every edge
        return listed.astype(np.float32, copy=False)


def doubles(values: Any) -> Float64s:
    """Numbers as they are, missing as NaN: not as a model sees them, which is `numbers`."""
    return np.asarray(_numeric(values, "Float64"), dtype=np.float64)


def _numeric(values: Any, kind: str) -> Any:
    """Of a Polars or Arrow column (cast to `kind`) or a pandas one an array; whatever else as it came."""
    series = _polars(values)
    if series is not None:
        import polars as pl

        return series.cast(getattr(pl, kind), strict=False).to_numpy()
    return values.to_numpy(dtype=np.float64, na_value=np.nan) if _is_pandas(values) else values


def in_bins(values: Float32s, edges: Float32s) -> Ints:
    """Counts: missing, below the first edge, between edges (lower one included), from the last edge on.

    Sorting pieces and looking the edges up in them costs a twentieth of looking each value up in the edges.
    """
    counts = np.zeros(edges.size + 2, dtype=np.int64)
    for start in range(0, values.size, PIECE):
        piece = np.sort(values[start : start + PIECE])
        present = piece.size - int(np.count_nonzero(np.isnan(piece)))  # NaN sorts last
        below = np.searchsorted(piece[:present], edges, side="left")
        counts[1:] += np.diff(below, prepend=0, append=present)
        counts[0] += piece.size - present
    return counts


def times_each(values: Any) -> dict[str, int]:
    """How often each category occurs; missing ones under MISSING."""
    series = _polars(values)
    if series is None:
        return _merged(Counter(_listed(values)))
    counted = series.to_frame("value").group_by("value").len()
    return _merged(dict(zip(counted["value"].to_list(), counted["len"].to_list(), strict=True)))


def texts(values: Any) -> list[str]:
    """Each row's category as text; missing ones MISSING, however the library calls them."""
    series = _polars(values)
    return [_text(value) for value in (series.to_list() if series is not None else _listed(values))]


def codes(values: Any) -> tuple[list[str], Ints]:
    """Distinct categories, and each row's index among them."""
    listed = texts(values)
    places: dict[str, int] = {}
    found = np.fromiter((places.setdefault(text, len(places)) for text in listed), dtype=np.int64, count=len(listed))
    return list(places), found


def _merged(times: Any) -> dict[str, int]:
    merged: dict[str, int] = {}
    for value, count in times.items():
        text = _text(value)
        merged[text] = merged.get(text, 0) + int(count)
    return merged


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # pandas' NA answers no comparison; by name, since pandas is no dependency
    if value is None or type(value).__name__ == "NAType" or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return MISSING
    if isinstance(value, float | np.floating) and value.is_integer():
        # pandas makes floats of integers beside a missing one: the same categories, not others
        return str(int(value))
    return str(value)


def _listed(values: Any) -> list[Any]:
    if _is_pandas(values) and getattr(values.dtype, "name", "") == "category":
        # straight to an array, integers beside a missing one would become floats, and "1.0" a category that nobody knew
        values = values.astype(object)
    if _is_pandas(values):
        values = values.to_numpy(dtype=object, na_value=None)
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _polars(values: Any) -> Any:
    """A Polars series of what is one, or speaks Arrow; None: neither."""
    if isinstance(values, np.ndarray | list | tuple) or _is_pandas(values):
        return None
    if not (hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")):
        return None
    import polars as pl

    return values if isinstance(values, pl.Series) else pl.Series(values)


def _is_pandas(values: Any) -> bool:
    """By name, not by type: pandas is no dependency. Its own way to Arrow needs pyarrow, which need not be there."""
    return type(values).__module__.partition(".")[0] == "pandas"
