"""`python -m flyball.adapters.report_page report.json report.html`: draw a report again, also one of another machine."""

import sys
from pathlib import Path

from flyball.adapters.report_page.page import render
from flyball.control.replay_report import ReplayReport
from flyball.records import codec


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m flyball.adapters.report_page report.json report.html\n")
        return 2
    source, target = (Path(argument) for argument in arguments)
    target.write_text(render(codec.decode(source.read_bytes(), ReplayReport)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
