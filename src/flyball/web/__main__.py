"""`python -m flyball.web DIR [--fd N]`: the control process of a project: ticks, API and pages. The supervisor starts it; nobody types this."""

import argparse
import gc
import sys
from pathlib import Path

from flyball.errors import FlyballError
from flyball.web.app import app
from flyball.wiring.privacy import private_process
from flyball.wiring.workspace import open_workspace

NEW_OBJECTS = 50_000
"""Before the collector looks: what was captured is read record by record when control starts, and at 700 half of that time went into looking for cycles in
records that have none."""


def main(directory: str, descriptor: int | None) -> int:
    """Exit code: that of the error, which stands in the supervisor's log as a sentence."""
    private_process()
    try:
        workspace = open_workspace(Path(directory))
        made = app(workspace)
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS)
        workspace.control(made, descriptor)
    except FlyballError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="flyball.web")
    parser.add_argument("directory")
    parser.add_argument("--fd", type=int, help="a bound socket inherited from the supervisor")
    given = parser.parse_args()
    sys.exit(main(given.directory, given.fd))
