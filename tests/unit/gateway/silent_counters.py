"""Counters of a gateway of which nobody asks what it counted, and a capture that remembers what was."""

from collections.abc import Sequence

from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.metrics import Metrics
from flyball.gateway.refusals import Refusals
from flyball.records.captured import Captured


class Kept(NoCapture):
    def __init__(self) -> None:
        self.taken: list[Captured] = []

    def hand_over(self, records: Sequence[Captured]) -> bool:
        self.taken += records
        return True


def counters() -> tuple[Metrics, Refusals]:
    return Metrics(NoCapture()), Refusals(NoCapture(), lambda: None, lambda: 0)
