"""More seeds: `python -m tests.simulation --seeds 100000 --from 10000`; one again: `python -m tests.simulation --seed N`."""

import argparse
import sys
import time

from tests.simulation.seeds import play_all
from tests.simulation.world import simulation_of

SHOWN = 20
"""Worlds that failed, of which the command is printed."""


def main() -> int:
    """1 when a world did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many worlds")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this world alone, with all that it says and writes")
    asked = parser.parse_args()
    if asked.seed is not None:
        return tell(asked.seed)
    began = time.perf_counter()
    found = play_all(range(asked.first, asked.first + asked.seeds))
    print(f"{found.words}, {time.perf_counter() - began:.0f} s")
    for failed in found.failed[:SHOWN]:
        print(f"python -m tests.simulation --seed {failed.seed}    {failed.words}")
    return int(bool(found.failed))


def tell(seed: int) -> int:
    """One world's entries, then what its controllers said, then how it ended."""
    world = simulation_of(seed)
    try:
        print(world.run())
    finally:
        for row in world.rows:
            print(row.seq, row.at, row.kind, row.subject, row.actor)
        print(*world.stage.said, sep="\n")
        print(f"faults: {', '.join(world.chaos.kinds)}; deaths {world.chaos.deaths}, rivals {world.chaos.rivals}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
