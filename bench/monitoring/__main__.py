"""`python -m bench.monitoring SUBJECT …`: measure, print the tables, say which promises are met."""

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.__main__ import machine
from bench.monitoring import calibration, changes, concepts, data, labels, peers, power, scale, unlabelled
from bench.monitoring.kept import Kept
from bench.monitoring.nulls import Size
from bench.serving import environments
from bench.serving.bars import promises
from bench.serving.rounds import tell
from bench.subjects import one_of

SUBJECTS = ("calibration", "power", "concepts", "changes", "unlabelled", "labels", "scale")


def main() -> int:
    given = _parser().parse_args()
    if given.subjects == ["setup"]:
        return environments.make(given.root, peers.REQUIREMENTS, "2 GB")
    console = Console(width=None if sys.stdout.isatty() else 200)
    document: dict[str, Any] = {"machine": machine(), "extent": given.extent.lower()}
    missed = False
    for subject in given.subjects or SUBJECTS:
        begun = time.perf_counter()
        missed |= globals()[f"_{subject}"](given, console, document)
        tell(f"{subject}: {time.perf_counter() - begun:.0f} s")
    document["machine"]["load after"] = machine()["load"]
    console.print(", ".join(f"{name} {value}" for name, value in document["machine"].items()), highlight=False)
    if given.json:
        given.json.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if missed else 0


def _calibration(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    plan = _plan(calibration, given)
    plan = replace(plan, sizes=tuple(size for size in plan.sizes if _asked_for(size, given)))
    there, absent = peers.present(given.root, given.peers)
    try:
        cells, skipped = calibration.measure(given.data, plan, there, Kept(given.keep, given.minutes))
    finally:
        peers.close(there)
    sizes = [calibration.by_size(cells, budget) for budget in calibration.BUDGETS]
    console.print(calibration.drawn(cells), "", calibration.pooled(cells), "", *sizes, "")
    _told(console, absent | skipped)
    document["calibration"] = {"cells": [cell.document() for cell in cells], "skipped": absent | skipped}
    return any(cell.verdict == "MISSED" and cell.subject == "Flyball" for cell in cells)


def _power(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    plan = _plan(power, given)
    there, absent = peers.present(given.root, given.peers)
    try:
        told, skipped = power.measure(given.data, plan, there)
    finally:
        peers.close(there)
    for each in told:
        console.print(power.drawn(each, plan), "", power.alarms(each), "", promises(power.bars(each, plan)), "")
    _told(console, absent | skipped)
    document["power"] = {"tables": [power.document(each, plan) for each in told], "skipped": absent | skipped}
    return any(bar.verdict == "MISSED" for each in told for bar in power.bars(each, plan))


def _concepts(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    plan = _plan(concepts, given)
    told, skipped = concepts.measure(given.data, plan, given.root)
    for each in told:
        console.print(concepts.drawn(each, plan), "", power.alarms(each), "", promises(concepts.bars(each, plan)), "")
    _told(console, skipped)
    document["concepts"] = {"tables": [power.document(each, plan) for each in told], "skipped": skipped}
    return any(bar.verdict == "MISSED" for each in told for bar in concepts.bars(each, plan))


def _changes(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    told = changes.measure(given.data, given.root, getattr(changes, given.extent))
    console.print(changes.drawn(told), "", changes.summary(told), "")
    for why in told.skipped:
        console.print(f"skipped: {why}", highlight=False, markup=False)
    document["changes"] = changes.document(told)
    return False


def _unlabelled(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    told = unlabelled.measure(given.data, given.root)
    console.print(unlabelled.drawn(told), "")
    for why in told.skipped:
        console.print(f"skipped: {why}", highlight=False, markup=False)
    document["unlabelled"] = told.document()
    return False


def _labels(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    told = labels.measure(labels.QUICK if given.extent == "QUICK" else labels.FULL)
    console.print(labels.drawn(told), "", promises(labels.bars(told)), "")
    document["labels"] = told.document()
    return any(bar.verdict == "MISSED" for bar in labels.bars(told))


def _scale(given: argparse.Namespace, console: Console, document: dict[str, Any]) -> bool:
    plan = scale.QUICK if given.extent == "QUICK" else scale.FULL
    there, absent = peers.present(given.root, [name for name in given.peers if name in ("evidently", "nannyml")])
    try:
        told = scale.measure(given.data, plan, there)
    finally:
        peers.close(there)
    console.print(scale.drawn(told), "", promises(scale.bars(told, plan)), "")
    _told(console, absent | told.skipped)
    document["scale"] = told.document()
    return any(bar.verdict == "MISSED" for bar in scale.bars(told, plan))


def _plan(subject: Any, given: argparse.Namespace) -> Any:
    plan = getattr(subject, given.extent)
    return replace(plan, tables=tuple(given.tables)) if given.tables else plan


def _asked_for(size: Size, given: argparse.Namespace) -> bool:
    sides = ((size.features, given.features), (size.window_rows, given.window_rows), (size.reference_rows, given.reference_rows))
    return all(not wanted or value in wanted for value, wanted in sides)


def _told(console: Console, skipped: dict[str, str]) -> None:
    for name, why in skipped.items():
        console.print(f"{name} skipped: {why}", highlight=False, markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.monitoring", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        type=one_of([*SUBJECTS, "setup"]),
        help=", ".join(SUBJECTS) + "; all if none. `setup` makes the peers' environments",
    )
    parser.add_argument("--root", type=Path, help="the bench root, where `setup` has put the peers; without it they are skipped")
    parser.add_argument("--data", type=Path, default=data.DATA, help=f"where the tables are; default {data.DATA}")
    parser.add_argument("--peers", nargs="*", default=list(peers.OF_DRIFT), help=f"which; default {' '.join(peers.OF_DRIFT)}")
    parser.add_argument(
        "--tables", nargs="*", choices=list(data.TABLES), help="of `calibration`, `power` and `concepts`: these only"
    )
    of_sizes = parser.add_argument_group("of `calibration`")
    for name, values in (
        ("features", calibration.FEATURES),
        ("window-rows", calibration.WINDOW_ROWS),
        ("reference-rows", calibration.REFERENCE_ROWS),
    ):
        of_sizes.add_argument(f"--{name}", type=int, nargs="*", choices=values, help="these sizes only")
    of_sizes.add_argument(
        "--keep", type=Path, help="write there what was measured as it comes, and do not measure again what is there"
    )
    of_sizes.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after so many")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", dest="extent", action="store_const", const="QUICK", default="FULL", help="minutes instead of hours"
    )
    extent.add_argument("--moderate", dest="extent", action="store_const", const="MODERATE", help="an hour or so a subject")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
