"""Captured records as tables that DuckDB, Polars and Spark read."""

from flyball.adapters.capture_tables.exporting import Wanted, export
from flyball.adapters.capture_tables.frames import Served

__all__ = ["Served", "Wanted", "export"]
