"""Names in a sentence, and texts of anybody's that may be shown."""

import re
from collections.abc import Sequence

MOST_NAMED = 10
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0, C1, and what turns the direction of all that follows."""


def harmless(text: str) -> str:
    """`text` without the control characters that would move a terminal's cursor or colours, or turn a line around: names and reasons come from anywhere."""
    return _UNSEEN.sub("\ufffd", text)


NO_TABLE = "no routing table yet"
"""What a gateway says that was given none; one that could not take what it was given says why."""


def listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
