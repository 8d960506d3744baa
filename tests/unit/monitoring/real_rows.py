"""Rows of real tables that lie beside the checkout; without them a test that needs them is skipped."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

PLACES = [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
NO_FEATURES = {
    "adult_iid_pool": ["income"],
    "hotel_booking": ["Index", "y_pred", "y_pred_proba", "is_canceled", "timestamp", "period"],
    "gas_sensor_drift": ["batch", "gas", "concentration"],
}


def frame(name):
    found = next((place / name / "data.csv.gz" for place in PLACES if (place / name / "data.csv.gz").exists()), None)
    if found is None:
        pytest.skip(f"the table {name} is not beside this checkout")
    return pl.read_csv(found, infer_schema_length=None)


def columns(name):
    """Features as monitoring takes them: numbers as float with NaN, categories as objects with ''."""
    return as_columns(frame(name).drop(NO_FEATURES[name]))


def as_columns(table):
    return {
        each.name: np.array([(value or "").strip() for value in each.to_list()], dtype=object)
        if each.dtype == pl.String
        else each.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
        for each in table
    }


def kinds(columns):
    return {name: "category" if values.dtype == object else "number" for name, values in columns.items()}


def take(columns, rows):
    return {name: values[rows] for name, values in columns.items()}


def divided(columns, n, seed):
    """Reference of n rows, all other rows, and a generator."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(next(iter(columns.values()))))
    return take(columns, order[:n]), take(columns, order[n:]), rng


def draw(columns, n, rng, weights=None):
    size = len(next(iter(columns.values())))
    return take(columns, rng.choice(size, n, replace=weights is not None or n > size, p=weights))
