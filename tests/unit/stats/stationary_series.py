"""Series in which nothing happens, and the real streams in which something does at a known row."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

SHARED = next((place / "shared/data" for place in Path(__file__).parents if (place / "shared/data").is_dir()), None)


def ar1(rng, n, phi):
    """Unit variance, lag-one correlation phi."""
    noise = rng.normal(size=n) * np.sqrt(1.0 - phi * phi)
    series = np.empty(n)
    series[0] = rng.normal()
    for i in range(1, n):
        series[i] = phi * series[i - 1] + noise[i]
    return series


def stationary(kind, rng, n):
    return {
        "errors": lambda: (rng.random(n) < 0.1).astype(float),
        "normal": lambda: rng.normal(size=n),
        "heavy": lambda: rng.pareto(1.5, size=n),  # infinite variance
        "ar1": lambda: ar1(rng, n, 0.8),
        "ar1_heavy": lambda: np.exp(1.5 * ar1(rng, n, 0.8)),
        "ar1_errors": lambda: (ar1(rng, n, 0.8) > 1.28).astype(float),
        "costs": lambda: np.where(rng.random(n) < 0.005, rng.lognormal(3.0, 1.0, n), 0.0),
    }[kind]()


def table(name):
    """(features, labels) of a table of the shared data, all numbers."""
    if SHARED is None:
        pytest.skip("there is no shared/data beside the checkout")
    with gzip.open(SHARED / name / "data.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    values = np.asarray(rows, dtype=float)
    return values[:, :-1], values[:, -1].astype(int)
