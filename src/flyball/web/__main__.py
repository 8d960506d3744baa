"""`python -m flyball.web DIR [--fd N]`: the control process of a project: ticks, API and pages. The supervisor starts it; nobody types this."""

import argparse
import sys
from pathlib import Path

from flyball import wiring
from flyball.errors import FlyballError
from flyball.web.app import app


def main(directory: str, descriptor: int | None) -> int:
    """Exit code: that of the error, which stands in the supervisor's log as a sentence."""
    wiring.private_process()
    try:
        workspace = wiring.open_workspace(Path(directory))
        workspace.control(app(workspace), descriptor)
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
