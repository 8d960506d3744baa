"""`python -m flyball.web DIR [FD]`: the control process of a project. Wiring starts it; nobody types this."""

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
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ".", int(sys.argv[2]) if len(sys.argv) > 2 else None))
