"""Ordinary rows that an explanation measures against: what a prediction would have been without a field is an average over them."""

from typing import Any

import msgspec

MAX_ROWS = 50
"""An explained row costs so many evaluations of the model for each subset of its fields that is tried."""

FILE = "background.json"
"""In a package."""


class Background(msgspec.Struct, frozen=True, kw_only=True):
    columns: dict[str, tuple[Any, ...]]
    """Column → a value a row, as the model takes them; a missing number is None, a missing category ''."""
