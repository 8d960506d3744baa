"""Of several labels of one prediction: which one counts, and which one came first. Never the one that was read last."""

from typing import NamedTuple


class Label(NamedTuple):
    """Larger is later: by when the outcome became known, then by when that was received (a correction of what was known at the same time), then by value:
    nothing of it hangs on the order of reading."""

    observed_us: int
    received_us: int
    number: float


class Arrival(NamedTuple):
    """A label as it came; smaller is earlier, and of two that came together what they say decides."""

    received_us: int
    observed_us: int
    number: float


class Held(NamedTuple):
    """A label that waits for its prediction."""

    label: Label
    """The one that counts so far."""
    first: Arrival
