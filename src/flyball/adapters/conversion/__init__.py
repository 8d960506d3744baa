"""Compiled serving: the trained estimator in the fastest data format that is proven to answer like it, else as code."""

from flyball.adapters.conversion.choice import Served, convert
from flyball.adapters.conversion.comparison import Compared, rows_to_compare
from flyball.adapters.conversion.timing import MANY_ROWS

__all__ = ["MANY_ROWS", "Compared", "Served", "convert", "rows_to_compare"]
