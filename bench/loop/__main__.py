"""`python -m bench.loop [STREAM …]`: the autopilot's defaults beside schedules, detectors, chance and a hindsight oracle."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.loop import figures, made_up, streams, tell
from bench.loop.governors import DETECTORS
from bench.loop.runs import Run, runs
from bench.monitoring.data import DATA, Absent

ROOT = Path(tempfile.gettempdir()) / "flyball-loop"


def main() -> int:
    given = _parser().parse_args()
    unknown = sorted({*given.streams} - {*streams.names(), *made_up.names()})
    if unknown:
        print(f"expected streams among {', '.join((*streams.names(), *made_up.names()))}, found {', '.join(unknown)}")
        return 2
    found, skipped = measured(given)
    rows = [figures.row(each) for each in found.values()]
    for line in skipped:
        print(f"left out: {line}")
    if not rows:
        print("nothing was measured")
        return 1
    met = tell.tables(rows, list(found.values()))
    if given.json:
        given.json.write_text(json.dumps(_plain(rows, found), indent=1))
    return 0 if met else 1


def measured(given: argparse.Namespace) -> tuple[dict[tuple[str, int], list[Run]], list[str]]:
    """(stream, delay) → a run for each seed; and what was left out."""
    found: dict[tuple[str, int], list[Run]] = {}
    skipped: dict[str, None] = {}
    for name in given.streams or streams.names():
        for seed in range(given.seeds):
            try:
                for run in runs(name, seed, tuple(given.delays), (given.data, given.root), (given.peers, given.without)):
                    if isinstance(run, str):
                        skipped[run] = None
                    else:
                        found.setdefault((name, run.delay), []).append(run)
            except Absent as why:
                skipped[str(why)] = None
                break
            print(f"{name}, seed {seed}: done", file=sys.stderr, flush=True)
    return found, list(skipped)


def _plain(rows: list[figures.Row], found: dict[tuple[str, int], list[Run]]) -> dict[str, Any]:
    logs = {
        f"{run.stream}, delay {run.delay}, seed {run.seed}": run.governed["autopilot"].log
        for each in found.values()
        for run in each
    }
    return {"rows": [each._asdict() for each in rows], "logs": logs}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.loop", description=__doc__)
    parser.add_argument(
        "streams",
        nargs="*",
        metavar="STREAM",
        help=f"of {', '.join(streams.names())}; none: all of them. For development: {', '.join(made_up.names())}",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 1, 5], help="blocks that labels are late")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="where fits and runs are kept (gigabytes); a later call goes on from there"
    )
    parser.add_argument("--peers", type=Path, help="the --root of bench.monitoring setup, for River; left out without it")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        choices=sorted(DETECTORS),
        help="detectors to leave out: KSWIN tests two samples at every row",
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", type=Path, help="keep all figures, and every decision in words")
    return parser


if __name__ == "__main__":
    sys.exit(main())
