"""Real tables as streams of rows, and where each can be broken."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.monitoring.data import columns_of, read

Columns = dict[str, NDArray[Any]]
"""float64 with NaN, or objects with ''."""


@dataclass(frozen=True)
class Table:
    """Rows with a label in {0, 1}. They are drawn in random order: nothing moves but what is injected."""

    name: str
    columns: Columns
    label: NDArray[np.float64]
    unit: tuple[str, float, float]
    """Column, factor and offset of another unit of it."""
    unit_words: str
    emptied: str
    """Column that goes null: one that the model uses much."""
    renamed: str
    """Category whose values are called otherwise; empty: the table has none."""
    poisoned: tuple[str, Any]
    """Column and value, or the number above which, of the slice whose labels are wrong."""
    mirrored: tuple[str, ...]
    """Columns whose part in the label changes sides in another concept."""

    @property
    def rows(self) -> int:
        return self.label.size


def _adult(data: Path) -> Table:
    table = read(data, "adult_iid_pool")
    names = [name for name in table.columns if name not in ("income", "fnlwgt")]
    label = np.asarray(["<" not in text for text in table["income"].to_list()], dtype=float)
    return Table(
        "adult", columns_of(table, names), label, ("age", 12.0, 0.0), "years → months", "relationship", "occupation",
        ("occupation", "Exec-managerial"), ("age", "education_num"),
    )  # fmt: skip


def _hotel(data: Path) -> Table:
    table = read(data, "hotel_booking")
    names = [
        "hotel", "lead_time", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "meal", "market_segment", "previous_cancellations",
        "booking_changes", "deposit_type", "customer_type", "adr", "total_of_special_requests",
    ]  # fmt: skip
    label = table["is_canceled"].cast(pl.Float64).to_numpy()
    return Table(
        "hotel", columns_of(table, names), label, ("adr", 100.0, 0.0), "euros → cents", "market_segment", "customer_type",
        ("market_segment", "Groups"), ("lead_time", "total_of_special_requests"),
    )  # fmt: skip


def _noaa(data: Path) -> Table:
    table = read(data, "noaa_weather")
    names = [name for name in table.columns if name != "target"]
    high = float(table["feat_3"].quantile(0.8) or 0.0)
    return Table(
        "noaa", columns_of(table, names), table["target"].cast(pl.Float64).to_numpy(), ("feat_1", 5.0 / 9.0, -160.0 / 9.0), "°F → °C", "feat_4", "",
        ("feat_3", high), ("feat_4", "feat_2"),
    )  # fmt: skip


TABLES: dict[str, Callable[[Path], Table]] = {"adult": _adult, "hotel": _hotel, "noaa": _noaa}
