"""Replays that are killed at random, again and again, held against the one that was not: every event of the ledger, and the report."""

import json
import math
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.replay.projects import Size, command, live, make_project
from bench.serving.bars import Bar


class Plan(NamedTuple):
    size: Size
    kills: int
    seconds: tuple[float, float]
    """A process lives that long before it is killed."""


FULL = Plan(Size(47_000, 15, 61), 40, (4.0, 14.0))
SHORT = Plan(Size(12_000, 8, 20), 6, (4.0, 10.0))


def measure(plan: Plan) -> dict[str, Any]:
    draw = random.Random(6)
    with tempfile.TemporaryDirectory() as name:
        directory = make_project(Path(name) / "project", plan.size)
        live(directory)
        wanted, report = _events(directory), _report(directory)
        kills, lives, unequal, differing, fresh = 0, 0, 0, 0, True
        while kills < plan.kills or lives == 0 or not fresh:
            before = _begun(directory)
            over = _over(directory, fresh=fresh, seconds=draw.uniform(*plan.seconds) if kills < plan.kills else math.inf)
            if over:
                found = _events(directory)
                unequal += sum(one != other for one, other in zip(wanted, found, strict=False)) + abs(len(wanted) - len(found))
                differing += _report(directory) != report
                lives, fresh = lives + 1, True
            else:
                kills += 1
                fresh = fresh and _begun(directory) in (None, before)
        return {
            "planned": plan.kills, "kills": kills, "lives": lives, "events": len(wanted), "unequal": unequal, "reports": differing
        }  # fmt: skip


def bars(seen: dict[str, Any]) -> tuple[Bar, ...]:
    lives = f"of {seen['lives']} replays that were killed {seen['kills']} times"
    return (
        Bar("kills", seen["kills"], seen["planned"], least=True),
        Bar("replays that came to their end after kills", seen["lives"], 1, least=True),
        Bar(f"events that differ, of {seen['events']:,} each {lives}", seen["unequal"], 0, least=False),
        Bar(f"reports that differ, {lives}", seen["reports"], 0, least=False),
    )


def _begun(directory: Path) -> int | None:
    """When the replay that lies there was begun. None: none was."""
    try:
        return (directory / ".flyball" / "replay" / "begun.json").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _over(directory: Path, *, fresh: bool, seconds: float) -> bool:
    """Live on until it is killed; True: it was over before. Raises RuntimeError when it ended otherwise than by our hand."""
    with (directory / "said").open("w+") as said:
        process = subprocess.Popen(command(directory, *(("--fresh",) if fresh else ())), stdout=subprocess.DEVNULL, stderr=said)
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if ours := process.poll() is None:
            process.kill()
        if process.wait() != 0 and not (ours and process.returncode == -signal.SIGKILL):
            raise RuntimeError(f"it ended by itself with {process.returncode}: {(directory / 'said').read_text()[-2000:]}")
    return process.returncode == 0


def _events(directory: Path) -> list[Any]:
    """Without Flyball's own readers: who claimed the ledger, and how MLflow calls its runs, is all that may differ."""
    with sqlite3.connect(directory / ".flyball" / "replay" / "flyball.db") as database:
        rows = database.execute(
            "SELECT at, kind, subject, key, payload, puts FROM events WHERE kind != 'control.claimed' ORDER BY seq"
        )
        return [(*row[:4], _plain(json.loads(row[4])), _plain(json.loads(row[5]))) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items() if key not in ("mlflow_run", "package")}
    return [_plain(below) for below in value] if isinstance(value, list) else value


def _report(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_bytes())
    return {key: value for key, value in found.items() if key not in ("wall_seconds", "training_seconds")}
