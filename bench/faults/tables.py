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


def _elec2(data: Path) -> Table:
    table = read(data, "elec2")
    names = [name for name in table.columns if name not in ("date", "class")]
    label = (table["class"] == "UP").cast(pl.Float64).to_numpy()
    return Table(
        "elec2", columns_of(table, names, frozenset({"day"})), label, ("nswdemand", 1000.0, 0.0), "GW → MW", "nswprice", "day", ("day", "7"),
        ("nswprice", "period"),
    )  # fmt: skip


def _employment(data: Path) -> Table:
    table = read(data, "employment_ma").filter(pl.col("year") == 2015)
    names = [
        name for name in table.columns if name not in ("id", "employed", "year", "prediction", "predicted_probability", "period")
    ]
    columns = columns_of(table, names, frozenset(names) - {"AGEP", "SCHL"})
    return Table(
        "employment", columns, table["employed"].cast(pl.Float64).to_numpy(), ("AGEP", 12.0, 0.0), "years → months", "AGEP", "DIS",
        ("SCHL", 21.0), ("AGEP", "SCHL"),
    )  # fmt: skip


def _noaa(data: Path) -> Table:
    table = read(data, "noaa_weather")
    names = [name for name in table.columns if name != "target"]
    high = float(table["feat_3"].quantile(0.8) or 0.0)
    return Table(
        "noaa", columns_of(table, names), table["target"].cast(pl.Float64).to_numpy(), ("feat_1", 5.0 / 9.0, -160.0 / 9.0), "°F → °C", "feat_4", "",
        ("feat_3", high), ("feat_4", "feat_2"),
    )  # fmt: skip


TABLES: dict[str, Callable[[Path], Table]] = {"adult": _adult, "elec2": _elec2, "noaa": _noaa, "employment": _employment}
