"""`python -m flyball.cli.gateway_supervisor FILE --order N`: what `flyball gateway` becomes; nobody types this. Neither typer nor rich is imported until
there is something to say."""

import argparse
import sys
from functools import partial
from pathlib import Path

from flyball.cli.screen import Screen, quiet_traceback
from flyball.wiring.standalone_supervisor import ordered, supervise_standalone


def main(routing: Path, descriptor: int) -> int:
    order = ordered(descriptor)
    screen = Screen()
    screen.as_json = order.manner.as_json
    if not order.manner.debug:
        sys.excepthook = quiet_traceback
    return screen.exit_code_of(partial(supervise_standalone, routing, order, screen.say, screen.write))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="flyball.cli.gateway_supervisor")
    parser.add_argument("routing", type=Path)
    parser.add_argument("--order", type=int, required=True, help="descriptor of what the command hands over")
    given = parser.parse_args()
    sys.exit(main(given.routing, given.order))
