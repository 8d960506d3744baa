"""`python -m bench.serving.survival [SUBJECT …]`: play, count, time, and say which promises are met."""

import argparse
import dataclasses
import importlib
import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.__main__ import machine
from bench.serving.bars import Bar
from bench.serving.rounds import tell

SUBJECTS = ("swap", "restarts", "kills", "sink", "overload", "bulkhead", "breaker", "large", "shadow", "connections")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.serving.survival", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", choices=SUBJECTS, help=f"{', '.join(SUBJECTS)}; all if none")
    parser.add_argument("--short", action="store_true", help="four minutes instead of twenty")
    parser.add_argument("--json", action="store_true", help="one document on stdout instead of the table")
    given = parser.parse_args()
    console, document = Console(width=None if sys.stdout.isatty() else 200), {"machine": machine()}
    missed = False
    for subject in given.subjects or SUBJECTS:
        begun = time.perf_counter()
        room = importlib.import_module(f"bench.serving.survival.{subject}")
        seen = room.measure(room.SHORT if given.short else room.FULL)
        bars: list[Bar] = room.bars(seen)
        document[subject] = {"seen": _plain(seen), "bars": [bar.document() for bar in bars]}
        if not given.json:
            console.print(_promises(bars), "")
        missed = missed or any(bar.verdict == "MISSED" for bar in bars)
        tell(f"{subject}: {time.perf_counter() - begun:.0f} s")
    if given.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if missed else 0


def _plain(seen: Any) -> Any:
    if dataclasses.is_dataclass(seen) and not isinstance(seen, type):
        return dataclasses.asdict(seen)
    return {name: _plain(each) for name, each in seen.items()}


def _promises(bars: list[Bar]) -> Table:
    table = Table("promise", "found", "wanted", "", box=None, pad_edge=False)
    for bar in bars:
        table.add_row(*bar.words())
    return table


if __name__ == "__main__":
    sys.exit(main())
