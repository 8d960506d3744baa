"""`python -m bench.release [SUBJECT …]`: play, count, time, and say which promises are met."""

import argparse
import dataclasses
import importlib
import json
import os
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.__main__ import machine
from bench.serving.bars import Bar, promises
from bench.serving.rounds import tell

SUBJECTS = {
    "kills": "kills",
    "dead": "dead",
    "rollbacks": "rollbacks",
    "misbehaving": "misbehaving",
    "tripped": "tripped",
    "slow-shadow": "slow_shadow",
    "promotions": "promotions",
}
"""Name → module."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", choices=SUBJECTS, help=f"{', '.join(SUBJECTS)}; all if none")
    parser.add_argument("--short", action="store_true", help="a minute each instead of up to ten")
    parser.add_argument("--json", action="store_true", help="one document on stdout instead of the tables")
    given = parser.parse_args()
    console, document = Console(width=None if sys.stdout.isatty() else 200), {"machine": machine()}
    missed = False
    for subject in given.subjects or SUBJECTS:
        begun, before = time.perf_counter(), os.getloadavg()[0]
        room = importlib.import_module(f"bench.release.{SUBJECTS[subject]}")
        seen = room.measure(room.SHORT if given.short else room.FULL)
        bars: list[Bar] = room.bars(seen)
        load = [round(before, 1), round(os.getloadavg()[0], 1)]
        document[subject] = {"seen": _plain(seen), "bars": [bar.document() for bar in bars], "load": load}
        if not given.json:
            tables: list[Table] = room.tables(seen) if hasattr(room, "tables") else []
            for table in (*tables, promises(bars)):
                console.print(table, "")
        missed = missed or any(bar.verdict == "MISSED" for bar in bars)
        tell(f"{subject}: {time.perf_counter() - begun:.0f} s; load average {load[0]} before, {load[1]} after")
    if given.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if missed else 0


def _plain(seen: Any) -> Any:
    if dataclasses.is_dataclass(seen) and not isinstance(seen, type):
        return dataclasses.asdict(seen)
    return seen


if __name__ == "__main__":
    sys.exit(main())
