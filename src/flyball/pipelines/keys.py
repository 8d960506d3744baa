"""Keys of rows: one for each, and none twice."""

import polars as pl

from flyball.errors import DataError


def refuse_repeated(frame: pl.DataFrame, key: str) -> None:
    """Raises DataError with the first of what repeats, or is null."""
    missing = frame[key].null_count()
    if missing:
        raise DataError(f"the key {key!r} is null in {missing} rows", expected="one key per row")
    repeated = frame.filter(pl.col(key).is_duplicated())
    if not repeated.is_empty():
        first = ", ".join(repr(value) for value in repeated[key].unique(maintain_order=True).head(3).to_list())
        raise DataError(f"the key {key!r} repeats: {repeated[key].n_unique()} keys stand in {repeated.height} rows (first: {first})",
                        expected="a key that is unique per row", next_step="choose another data.key, or remove the duplicates")  # fmt: skip
