"""Rows of a shop that comes late by the hour and the wind: one every quarter of an hour."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

START = datetime(2026, 1, 1, tzinfo=UTC)


def write_rows(file: Path, n: int) -> None:
    draw = np.random.default_rng(4)
    hour, wind = draw.integers(0, 24, n), draw.gamma(2.0, 5.0, n)
    frame = pl.DataFrame(
        {
            "id": [f"f{number}" for number in range(n)],
            "at": [START + timedelta(minutes=15 * number) for number in range(n)],
            "hour": hour.astype(float),
            "wind": wind,
            "late": ((hour - 12) / 6 + (wind - 10) / 8 + draw.normal(size=n) > 0).astype(int),
        }
    )
    frame.write_parquet(file)
