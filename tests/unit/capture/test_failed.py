"""Failures are summed by time as a plain list of them would be, whatever order they come in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture.failed import FailedRows

ENTRIES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 5)), max_size=30)


@settings(max_examples=150, deadline=None)
@given(ENTRIES, ENTRIES, st.integers(0, 45), st.integers(0, 45), st.integers(0, 30))
def test_sums_are_those_of_a_plain_list(
    first: list[tuple[str, int, int]], later: list[tuple[str, int, int]], start: int, end: int, until: int
) -> None:
    failed = FailedRows()
    for entry in first:
        failed.add(*entry)
    failed.between("a", start, end)
    failed.forget(until)
    for entry in later:
        failed.add(*entry)
    kept = [*(entry for entry in first if entry[1] >= until), *later]
    for unit in "abc":
        assert failed.between(unit, start, end) == sum(n for name, at, n in kept if name == unit and start <= at < end)
        parts = failed.in_stretches(unit, start, end, 7)
        assert parts.tolist() == [
            sum(n for name, at, n in kept if name == unit and low <= at < min(low + 7, end)) for low in range(start, end, 7)
        ]
