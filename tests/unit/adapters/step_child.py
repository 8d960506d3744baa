"""A child that runs all steps of a project: `python step_child.py DIRECTORY`. Started by the kill test."""

import sys
from pathlib import Path

from projects import Told, request

from flyball.adapters.steps import run_steps
from flyball.records import codec

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    results = run_steps(request(directory), Told())
    (directory / "results.json").write_bytes(codec.encode(results))
