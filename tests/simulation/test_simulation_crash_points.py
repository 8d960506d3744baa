"""Crash-point enumeration on real files: a controller dies before and after every write of one whole release and one rollback, also inside a commit.

K is printed: 229 calls (ledger, files, gateways, registry, executor) at the time of writing. Dying inside a commit and between it and the move of the
head outside are points of their own; at every move of the head it is torn, too. Memory-only stories, with a remedy among them: test_engine_deaths.py.
"""

from random import Random

import pytest
from tests.simulation.crash_points import Death, die_all, untouched
from tests.simulation.stories import points

SOME = 17
"""Every so manieth point where all would take too long; all are tried in the slow run."""
PAIRS, FEW_PAIRS = 500, 12
AFTER = 3
"""Dying after a call is dying before the next one, unless something outside moves between the two: where all are tried before, every so manieth is after."""
nightly = pytest.param(1, marks=[pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(1800)], id="all")
some = pytest.param(SOME, id="some")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(SOME, SOME, id="some"),
        pytest.param(1, AFTER, marks=[pytest.mark.slow, pytest.mark.timeout(1800)], id="all"),
        pytest.param(1, 1, marks=[pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(1800)], id="all twice"),
    ],
)
def test_a_death_before_or_after_any_write_leaves_the_end_as_it_was(before: int, after: int) -> None:
    names = untouched().names
    places = points(names)
    print(f"K = {len(places)}")  # noqa: T201 - the figure of R2 and R3
    assert len(places) >= 160
    deaths = [Death(place, False) for place in places[::before]] + [Death(place, True) for place in places[::after]]
    assert die_all(deaths) == []


@pytest.mark.parametrize("each", [some, nightly])
def test_a_head_that_is_written_in_part_is_mended_by_who_comes_next(each: int) -> None:
    names = untouched().names
    places = points(names, "files.head")
    assert len(places) >= 70
    assert die_all([Death(place, after=False, tears=True) for place in places[::each]]) == []


@pytest.mark.parametrize(
    "pairs",
    [FEW_PAIRS, pytest.param(PAIRS, marks=[pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(1800)])],
    ids=["few", "500"],
)
def test_a_second_death_during_recovery_changes_nothing_either(pairs: int) -> None:
    names = untouched().names
    draw, places = Random(20261126), points(names)
    deaths = [Death(draw.choice(places), draw.random() < 0.5, again=draw.randint(1, 30)) for _ in range(pairs)]
    assert die_all(deaths) == []
