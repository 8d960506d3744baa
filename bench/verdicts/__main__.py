"""`python -m bench.verdicts aa`, `power`, `delays`: `--releases N`, `--quick`."""

import argparse
import sys

from bench.verdicts import aa, delays, power

BENCHES = {"aa": (aa.run, 2000), "power": (power.run, 1000), "delays": (delays.run, 10)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__)
    parser.add_argument("bench", choices=sorted(BENCHES))
    parser.add_argument("--releases", type=int, help="simulated releases of each row")
    parser.add_argument("--quick", action="store_true", help="a tenth of them (delays: two starts)")
    given = parser.parse_args()
    run, releases = BENCHES[given.bench]
    return run(given.releases or (max(releases // 10, 2) if given.quick else releases))


if __name__ == "__main__":
    sys.exit(main())
