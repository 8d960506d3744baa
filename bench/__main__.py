"""`python -m bench [--json] [SUBJECT …]`: the table of ratios."""

import argparse
import dataclasses
import importlib
import json
import os
import platform
import sys
import time

from rich.console import Console
from rich.table import Table

from bench.measure import Row

SUBJECTS = ("ledger", "gateway", "capture", "monitoring", "join", "sequences")


def machine() -> dict[str, object]:
    """In the machine's own words."""
    name = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        pass  # not Linux: the platform's words must do
    return {
        "cpu": name or platform.processor(), "cores": os.cpu_count(), "python": platform.python_version(),
        "system": platform.platform(), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def drawn(rows: list[Row]) -> Table:
    table = Table("what", "unit", "Flyball", "floor", "the floor is", "ratio", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.subject, row.unit, _brief(row.ours), _brief(row.floor), row.floor_is, f"{row.ratio:.2f}")
    return table


def _brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Costs of Flyball's parts, each over a floor of the same run."
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"one or more of {', '.join(SUBJECTS)}; all if none")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args()
    unknown = [name for name in given.subjects if name not in SUBJECTS]
    if unknown:
        parser.error(f"found {unknown[0]}, expected {', '.join(SUBJECTS)}")
    rows: list[Row] = []
    for name in given.subjects or SUBJECTS:
        begun = time.perf_counter()
        rows += importlib.import_module(f"bench.{name}").rows()
        print(f"{name}: {time.perf_counter() - begun:.1f} s", file=sys.stderr)
    if given.json:
        print(json.dumps({"machine": machine(), "rows": [dataclasses.asdict(row) for row in rows]}, indent=1, ensure_ascii=False))
    else:
        told = ", ".join(f"{name} {value}" for name, value in machine().items())
        Console(width=None if sys.stdout.isatty() else 200).print(drawn(rows), f"\n{told}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
