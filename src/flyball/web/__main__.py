"""`python -m flyball.web DIR`: the control process of a project. Wiring starts it; nobody types this."""

import sys
from pathlib import Path

from flyball import wiring
from flyball.web.app import app


def main(directory: str) -> None:
    workspace = wiring.open_workspace(Path(directory))  # type: ignore[attr-defined]
    workspace.control(app(workspace))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
