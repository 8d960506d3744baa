"""Names in a sentence."""

from collections.abc import Sequence

MOST_NAMED = 10


def listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
