"""`python -m bench.serving SUBJECT …`: measure, print the tables, say which promises are met."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.__main__ import machine
from bench.serving import environments, inputs, large, load, overhead, overload, pipeline, throughput
from bench.serving.bars import Bar, brief, promises
from bench.serving.gateway import flyball
from bench.serving.peers import PEERS, REQUIREMENTS
from bench.serving.processes import Place
from bench.serving.rounds import Plan, Told, tell
from bench.serving.servers import Server
from bench.subjects import one_of

SUBJECTS = ("throughput", "overhead", "inputs", "overload", "large")


def main() -> int:
    given = _parser().parse_args()
    if given.subjects == ["setup"]:
        return environments.make(given.root, REQUIREMENTS, "3 GB")
    lacking = load.installed()
    if lacking:
        tell(lacking)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 200)
    document: dict[str, Any] = {"machine": machine()}
    missed = False
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        place = Place(pipeline.prepare(Path(name)), given.root)
        for subject in given.subjects or SUBJECTS:
            begun = time.perf_counter()
            bars, document[subject] = _measured(subject, place, given, console)
            console.print(promises(bars), "")
            missed = missed or any(bar.verdict == "MISSED" for bar in bars)
            tell(f"{subject}: {time.perf_counter() - begun:.0f} s")
    document["machine"]["load after"] = machine()["load"]
    console.print(", ".join(f"{name} {value}" for name, value in document["machine"].items()), highlight=False)
    if given.json:
        given.json.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if missed else 0


def _measured(subject: str, place: Place, given: argparse.Namespace, console: Console) -> tuple[list[Bar], dict[str, Any]]:
    if subject == "inputs":
        seen = inputs.measure(_server(given), place, given.violations)
        inputs.told(seen)
        console.print(_matrix(seen), "")
        bars = inputs.bars(seen)
        return bars, {**seen.document(), "bars": [bar.document() for bar in bars]}
    plan = Plan(given.rounds, given.seconds, given.tries)
    if subject in ("overload", "large"):
        room = {"overload": overload, "large": large}[subject]
        outcome = room.measure(place, plan)
        bars = room.bars(outcome)
        return bars, {**outcome.document(), "bars": [bar.document() for bar in bars]}
    if subject == "throughput":
        told = throughput.measure(place, plan, peers=not given.no_peers, only=given.servers)
        bars = throughput.bars(told)
    else:
        told = overhead.measure(place, plan)
        bars = overhead.bars(told)
    console.print(_servers(told), "")
    for name, why in told.skipped.items():
        console.print(f"{name} skipped: {why.splitlines()[0] if why else ''}", highlight=False, markup=False)
    return bars, {**told.document(), "bars": [bar.document() for bar in bars]}


def _server(given: argparse.Namespace) -> Server:
    """The one that inputs are sent to."""
    return next((each for each in (*throughput.LIGHT, *PEERS) if each.name == given.servers), flyball(throughput.OURS))


def _servers(told: Told) -> Table:
    """Medians: requests a second / p50 / p99 in milliseconds, and what a second of the server's own CPU time answers."""
    loads = list(dict.fromkeys(load for _, load in told.cells))
    table = Table(
        "server",
        *(f"{load}: rps | p50 | p99 | per core" for load in loads),
        "failed",
        "start s",
        "MB",
        "~",
        box=None,
        pad_edge=False,
    )
    for name in dict.fromkeys(server for server, _ in told.cells):
        cells = [cell for load in loads for cell in told.of(name, load)]
        table.add_row(
            name,
            *(_cell(told, name, load) for load in loads),
            str(sum(cell.failed for cell in cells)),
            brief(told.soonest(name)),
            brief(told.memory(name)),
            f"{sum(cell.noisy for cell in cells)}/{len(cells)}",
        )
    for title, of in (("in process, arrays ready", "arrays"), ("in process, from rows", "rows")):
        if told.in_process:
            table.add_row(title, f"{brief(told.alone(of))} rows/s, 100 a call")
    return table


def _cell(told: Told, name: str, load: str) -> str:
    values = [
        told.median(name, load, of) for of in (lambda c: c.rate, lambda c: c.p50_ms, lambda c: c.p99_ms, lambda c: c.per_core)
    ]
    return " | ".join(map(brief, values))


def _matrix(seen: inputs.Seen) -> Table:
    table = Table("bad input", "alone", "beside good ones", "in 100 rows", box=None, pad_edge=False)
    for name, ways in seen.verdicts.items():
        table.add_row(name, *(ways.get(way, "") for way in ("alone", "beside good ones", "in 100 rows")))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        type=one_of([*SUBJECTS, "setup"]),
        help=", ".join(SUBJECTS) + "; all if none. `setup` makes the peers' environments",
    )
    parser.add_argument("--root", type=Path, help="the bench root, where `setup` has put the peers; without it they are skipped")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each cell")
    parser.add_argument("--tries", type=int, default=3, help="at a cell while others use the machine")
    parser.add_argument("--servers", default="*", help="of throughput: only those that match; default all")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--violations", type=int, default=inputs.VIOLATIONS, help="how many are drawn for inputs")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
