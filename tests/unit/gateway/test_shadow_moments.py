"""Claims about what a shadow's call is captured as: rows of one moment together, in their order, none lost."""

import pytest

from flyball.gateway.batches import MOMENT_US, moments

CASES = {
    "one": ([5], [[5]]),
    "of one moment": ([5, 6, 5 + MOMENT_US], [[5, 6, 5 + MOMENT_US]]),
    "a moment counts from its first": ([0, MOMENT_US, MOMENT_US + 1, 2 * MOMENT_US], [[0, MOMENT_US], [MOMENT_US + 1, 2 * MOMENT_US]]),
    "a clock that was set back": ([9, 8, 9], [[9], [8, 9]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_batches_are_told_together_while_their_times_are_one_moment(name: str) -> None:
    times, expected = CASES[name]
    assert [times[span] for span in moments(times)] == expected
