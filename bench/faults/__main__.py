"""`python -m bench.faults [--short] [--json FILE]`: is each fault told for what it is, what is done about it, and is a broken row ever trained into a model?"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table as Drawn

from bench.__main__ import machine
from bench.faults import cases, tables
from bench.faults.cases import FAULTS, Fault, Outcome
from bench.monitoring.data import DATA, Absent
from bench.serving.bars import Bar, promises
from bench.serving.rounds import tell
from flyball.records.findings import IncidentKind

RIGHT_OF_TEN = 9.0


class Extent(NamedTuple):
    tables: tuple[str, ...]
    starts: int


FULL, SHORT = Extent(("adult", "hotel", "noaa"), 3), Extent(("noaa",), 1)


def main() -> int:
    given = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    outcomes, skipped = _lived(given, cases.POLICIES)
    usual = _lived(given, cases.BY_ALARM)[0] if given.usual else []
    console.print(by_fault(outcomes), "", confusion(outcomes), "", scores(outcomes), "", promises(bars(outcomes)), "")
    if usual:
        console.print(
            f"an alarm retrains, as is usual: {_faulty(usual)} of {_with_data_fault(usual)} data faults trained into a model",
            highlight=False,
        )
    for why in skipped:
        console.print(f"skipped: {why}", highlight=False, markup=False)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)
    if given.json:
        document = {
            "machine": machine(),
            "lives": [each.document() for each in outcomes],
            "usual": [each.document() for each in usual],
        }
        given.json.write_text(json.dumps(document, indent=1, ensure_ascii=False))
    return 1 if any(bar.verdict == "MISSED" for bar in bars(outcomes)) else 0


def _lived(given: argparse.Namespace, policies: list[dict[str, Any]]) -> tuple[list[Outcome], list[str]]:
    extent = SHORT if given.short else FULL
    outcomes: list[Outcome] = []
    skipped: list[str] = []
    for start in range(given.first, given.first + (given.starts or extent.starts)):
        for name in given.tables or extent.tables:
            try:
                table = tables.TABLES[name](given.data)
            except Absent as absent:
                skipped.append(str(absent))
                continue
            for fault in _chosen(given.faults):
                if fault.category and not table.renamed:
                    continue
                outcomes.append(_life(table, fault, start, policies))
    return outcomes, sorted(set(skipped))


def _life(table: tables.Table, fault: Fault, start: int, policies: list[dict[str, Any]]) -> Outcome:
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        found = cases.live(Path(root), table, fault, start, policies)
    told = "nothing" if found.told is None else found.told.value
    tell(
        f"{table.name} {start} {fault.name}: {'right' if found.right else 'WRONG'} ({told} {found.score:.2f}), {time.perf_counter() - begun:.0f} s"
    )
    return found


def _chosen(words: Sequence[str]) -> list[Fault]:
    return [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]


def by_fault(outcomes: Sequence[Outcome]) -> Drawn:
    table = Drawn(
        "fault",
        "what it is",
        "told right",
        "after days",
        "since within",
        "what was done",
        "repaired after days",
        "broken rows trained",
        box=None,
        pad_edge=False,
    )
    for fault in FAULTS:
        mine = [each for each in outcomes if each.fault == fault.name]
        if not mine:
            continue
        since = [each.since_within for each in mine if each.since_within is not None and each.right]
        table.add_row(
            fault.name, fault.kind.value, f"{sum(each.right for each in mine)} of {len(mine)}", _middle([each.first_told_days for each in mine if each.right]),
            f"{sum(since)} of {len(since)}", _done(mine), _repaired(mine), str(sum(each.faulty_rows_trained > 0 for each in mine)),
        )  # fmt: skip
    return table


def _done(mine: Sequence[Outcome]) -> str:
    firsts = Counter(each.actions[0].split()[0] if each.actions else "nothing" for each in mine)
    return ", ".join(f"{kind} {times}" for kind, times in firsts.most_common())


def _repaired(mine: Sequence[Outcome]) -> str:
    harmed = [each for each in mine if each.harmed]
    if not harmed:
        return "no harm seen"
    well = [each.repaired_days for each in harmed if each.repaired_days is not None]
    return f"{_middle(well)} ({len(well)} of {len(harmed)})"


def _middle(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.median(known):.1f}" if known else "–"


def confusion(outcomes: Sequence[Outcome]) -> Drawn:
    kinds = [*IncidentKind, None]
    table = Drawn("it is ↓ told →", *("nothing" if kind is None else kind.value for kind in kinds), box=None, pad_edge=False)
    for truth in dict.fromkeys(fault.kind for fault in FAULTS):
        mine = Counter(each.told for each in outcomes if each.kind is truth)
        if mine:
            table.add_row(truth.value, *(str(mine[kind]) if mine[kind] else "·" for kind in kinds))
    return table


def scores(outcomes: Sequence[Outcome]) -> Drawn:
    """Is a score what it looks like?"""
    table = Drawn("score", "diagnoses", "right", box=None, pad_edge=False)
    for low, high in ((0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
        mine = [each for each in outcomes if each.told not in (None, IncidentKind.UNKNOWN) and low <= each.score < high]
        if mine:
            table.add_row(f"{low:.2f} to {min(high, 1.0):.2f}", str(len(mine)), f"{sum(each.right for each in mine)}")
    return table


def bars(outcomes: Sequence[Outcome]) -> list[Bar]:
    right = 10.0 * sum(each.right for each in outcomes) / len(outcomes) if outcomes else float("nan")
    return [
        Bar("faults told right, of ten", right, RIGHT_OF_TEN, least=True),
        Bar("lives in which a broken row was trained into a model", float(_faulty(outcomes)), 0.0, least=False),
    ]


def _faulty(outcomes: Sequence[Outcome]) -> int:
    return sum(each.faulty_rows_trained > 0 for each in outcomes)


def _with_data_fault(outcomes: Sequence[Outcome]) -> int:
    return sum(each.kind is IncidentKind.DATA_FAULT for each in outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one table, one start: minutes instead of an hour")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--data", type=Path, default=DATA, help=f"where the tables are; default {DATA}")
    parser.add_argument("--tables", nargs="*", choices=list(tables.TABLES), help="these only")
    parser.add_argument("--faults", nargs="*", default=[], metavar="WORDS", help="those only whose names hold one of these words")
    parser.add_argument("--starts", type=int, help="random orders of the rows, each a life of its own")
    parser.add_argument("--first", type=int, default=0, help="number of the first start")
    parser.add_argument("--usual", action="store_true", help="the same with one policy that retrains on any alarm")
    return parser


if __name__ == "__main__":
    sys.exit(main())
