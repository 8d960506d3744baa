"""Of several labels of one prediction: which one counts, and which one came first. Never the one that was read last."""

from typing import NamedTuple


class Label(NamedTuple):
    """Larger is later: by when the outcome became known, then by value, so that the order of arrival never decides."""

    observed_us: int
    number: float


class Arrival(NamedTuple):
    """A label as it came; smaller is earlier, and of two that came together the label decides."""

    received_us: int
    label: Label


class Held(NamedTuple):
    """A label that waits for its prediction."""

    label: Label
    """The one that counts so far."""
    first: Arrival
