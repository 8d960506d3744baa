"""`python -m flyball.cli.detached_supervisor LAYOUT`: what `flyball up --detach` leaves behind; nobody types this."""

import argparse
import sys
from functools import partial

from flyball.cli.screen import Screen, quiet_traceback
from flyball.wiring.detached_supervisor import supervise_detached


def main(layout: str) -> int:
    for stream in (sys.stdout, sys.stderr):  # its log, in which `up` looks for the sentence of a failure, in whatever locale
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    screen = Screen()
    sys.excepthook = quiet_traceback
    return screen.exit_code_of(partial(supervise_detached, layout, screen.say))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="flyball.cli.detached_supervisor")
    parser.add_argument("layout", help="what is to run")
    sys.exit(main(parser.parse_args().layout))
