"""A year lived through: seconds beyond training, by rows and by features."""

import tempfile
from pathlib import Path

from rich.table import Table

from bench.replay.projects import Size, live, make_project
from bench.serving.bars import Bar

YEAR, FULL_ROWS, FEATURES = 365, 280_000, 15
FULL = tuple(Size(rows, FEATURES, YEAR) for rows in (70_000, 140_000, FULL_ROWS)) + tuple(
    Size(FULL_ROWS, features, YEAR) for features in (30, 60)
)
SHORT = (Size(12_000, FEATURES, 61), Size(47_000, FEATURES, 61), Size(47_000, 30, 61))
BEYOND_SECONDS = 60.0
"""Of a year of 280,000 rows with daily windows."""


def measure(plan: tuple[Size, ...]) -> dict[str, dict[str, float]]:
    """By size."""
    seen: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number, size in enumerate(plan):
            report = live(make_project(Path(name) / str(number), size))
            seen[str(size)] = {
                "days": size.days, "rows": report["predictions"], "features": size.features, "wall": report["wall_seconds"],
                "training": report["training_seconds"], "beyond": round(report["wall_seconds"] - report["training_seconds"], 1),
                "processor": round(report["processor_seconds"], 1), "retrainings": report["governed"]["retrainings"],
                "decisions": report["decisions"], "equal": report["decisions_replayed_equal"], "failed": report["failed_requests"],
            }  # fmt: skip
    return seen


def bars(seen: dict[str, dict[str, float]]) -> tuple[Bar, ...]:
    year = [
        one for one in seen.values() if (one["days"], one["features"]) == (YEAR, FEATURES) and one["rows"] >= FULL_ROWS - 1000
    ]
    return (
        Bar("a year of 280,000 rows, 15 features, beyond training", year[0]["beyond"] if year else float("nan"), BEYOND_SECONDS, least=False, unit=" s"),
        Bar("decisions that come out otherwise when made again", sum(one["decisions"] - one["equal"] for one in seen.values()), 0, least=False),
        Bar("requests that failed", sum(one["failed"] for one in seen.values()), 0, least=False),
    )  # fmt: skip


def tables(seen: dict[str, dict[str, float]]) -> tuple[Table, ...]:
    table = Table(
        "rows",
        "features",
        "days",
        "whole, s",
        "trainings",
        "training, s",
        "beyond, s",
        "processor, s",
        "beyond a day, ms",
        box=None,
    )
    for one in seen.values():
        table.add_row(
            f"{one['rows']:,.0f}", f"{one['features']:.0f}", f"{one['days']:.0f}", f"{one['wall']:.0f}", f"{one['retrainings'] + 1:.0f}",
            f"{one['training']:.0f}", f"{one['beyond']:.1f}", f"{one['processor']:.0f}", f"{1000 * one['beyond'] / one['days']:.0f}",
        )  # fmt: skip
    return (table,)
