"""`python -m flyball.cli.detached_supervisor LAYOUT`: what `flyball up --detach` leaves behind; nobody types this."""

import argparse
import sys

from flyball.cli.screen import INTERRUPTED, Screen, quiet_traceback
from flyball.errors import FlyballError
from flyball.wiring.detached_supervisor import supervise_detached


def main(layout: str) -> int:
    screen = Screen()
    sys.excepthook = quiet_traceback
    try:
        supervise_detached(layout, screen.say)
    except FlyballError as error:
        screen.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="flyball.cli.detached_supervisor")
    parser.add_argument("layout", help="what is to run")
    sys.exit(main(parser.parse_args().layout))
