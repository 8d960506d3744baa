"""The command line of a bench of several subjects, each a module with `measure(plan)`, `bars(seen)` and its plans FULL and SHORT; `tables(seen)` if it has any."""

import argparse
import dataclasses
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from bench.__main__ import machine
from bench.serving.bars import promises
from bench.serving.rounds import tell


def play(package: str, subjects: Sequence[str], short: str) -> int:
    """`subjects`: names of modules of `package`, a `-` for each `_`; `short`: what --short makes of it. 1 when a promise is missed."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}", description="Play, count, time, and say which promises are met."
    )
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", type=one_of(subjects), help=f"{', '.join(subjects)}; all if none"
    )
    parser.add_argument("--short", action="store_true", help=short)
    parser.add_argument("--json", action="store_true", help="one document on stdout instead of the tables")
    given = parser.parse_args()
    console, document = Console(width=None if sys.stdout.isatty() else 200), {"machine": machine()}
    missed = False
    for subject in given.subjects or subjects:
        begun, before = time.perf_counter(), os.getloadavg()[0]
        room = importlib.import_module(f"{package}.{subject.replace('-', '_')}")
        seen = room.measure(room.SHORT if given.short else room.FULL)
        bars, load = room.bars(seen), [round(before, 1), round(os.getloadavg()[0], 1)]
        document[subject] = {"seen": _plain(seen), "bars": [bar.document() for bar in bars], "load": load}
        if not given.json:
            for table in (*(room.tables(seen) if hasattr(room, "tables") else ()), promises(bars)):
                console.print(table, "")
        missed = missed or any(bar.verdict == "MISSED" for bar in bars)
        tell(f"{subject}: {time.perf_counter() - begun:.0f} s; load average {load[0]} before, {load[1]} after")
    if given.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if missed else 0


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """A type of argparse's. Not its `choices`: of no value at all (`nargs="*"`) Python 3.11 says that it is none of them."""

    def taken(given: str) -> str:
        if given not in names:
            raise argparse.ArgumentTypeError(f"there is no {given!r}, but {', '.join(names)}")
        return given

    return taken


def _plain(seen: Any) -> Any:
    if dataclasses.is_dataclass(seen) and not isinstance(seen, type):
        return dataclasses.asdict(seen)
    return {name: _plain(each) for name, each in seen.items()} if isinstance(seen, dict) else seen
