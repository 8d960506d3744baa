"""That the simulation can fail: with any one safeguard taken out of the product, some world breaks a rule soon."""

from collections.abc import Iterator

import pytest
from tests.simulation.mutants import MUTANTS, mutated
from tests.simulation.reader import Violated
from tests.simulation.world import Simulation

WITHIN = 60
"""Seeds. Most are found in the first; what shows only when a death, a clock and a phase meet takes some ten."""


def worlds(name: str) -> Iterator[Simulation]:
    mutant = MUTANTS[name]
    return (Simulation(seed, on_disk=mutant.on_disk, always=mutant.always) for seed in range(WITHIN))


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_without_a_safeguard_a_rule_is_broken_within_sixty_worlds(name: str) -> None:
    with mutated(name):
        for world in worlds(name):
            try:
                world.run()
            except Violated:
                return
    raise AssertionError(f"{name}: {WITHIN} worlds did not tell it from the product")


@pytest.mark.parametrize("name", ["the_clock_is_believed", "no_deadline"])
def test_the_same_worlds_hold_with_it(name: str) -> None:
    assert all(world.run().entries > 0 for world in list(worlds(name))[:12])
