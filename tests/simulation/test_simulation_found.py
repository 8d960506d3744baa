"""What the simulation has found in the product, each in the smallest world that shows it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.simulation.fuse import Fuse
from tests.simulation.stories import Story

TEN_YEARS = timedelta(days=3653)


@pytest.fixture
def story() -> Iterator[Story]:
    told = Story()
    yield told
    told._close()


def to_rest(story: Story, *orders: str) -> None:
    for order in orders:
        story.people.order(order)
        story._until_at_rest()


@pytest.mark.parametrize("whole", [True, False], ids=["passes", "fails-at-once"])
@pytest.mark.parametrize("call", range(1, 17))
def test_a_drill_that_was_ordered_is_held_once_wherever_its_controller_dies(story: Story, call: int, whole: bool) -> None:
    """It was held twice where no package was left to go back to, and refused after it was held where a release had begun meanwhile."""
    to_rest(story, "run", "run")
    story.registry.missing = set() if whole else {1}
    story._reboot()
    story._fuses = [Fuse({call})]
    to_rest(story, "drill")
    story._audit()
    (drill,) = story.chain.of("drill").values()
    assert drill["outcome"] == ("passed" if whole else "failed")


def test_a_phase_that_began_under_a_clock_ten_years_ahead_does_not_last_ten_years(story: Story) -> None:
    to_rest(story, "run")
    story.machine.jump(TEN_YEARS)
    story._reboot()
    story.people.order("run")
    for _ in range(3):
        story._live()
    story.machine.right()
    story._reboot()
    to_rest(story)
    story._until_at_rest()
    assert {release["phase"] for release in story.chain.of("release").values()} <= {"settled", "rolled_back"}


@pytest.mark.parametrize("jump", [timedelta(hours=1), TEN_YEARS, -TEN_YEARS], ids=str)
def test_a_clock_that_is_set_under_a_running_controller_changes_no_end(story: Story, jump: timedelta) -> None:
    to_rest(story, "run")
    story.people.order("run")
    story._live()
    story.machine.jump(jump)
    story._live()
    story._live()
    story.machine.right()
    story._until_at_rest()
    assert [release["phase"] for release in story.chain.of("release").values()] == ["settled", "settled"]
    story._audit()
