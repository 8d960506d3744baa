"""Names in a sentence."""

from collections.abc import Sequence

MOST_NAMED = 10

NO_TABLE = "no routing table yet"
"""What a gateway says that was given none; one that could not take what it was given says why."""


def listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
