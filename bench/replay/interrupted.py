"""Replays that are killed at random, again and again, held against the one that was not: every event of the ledger, and the report."""

import json
import random
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
        kills, more = 0, ("--fresh",)
        while kills < plan.kills and not _killed(directory, more, draw.uniform(*plan.seconds)):
            kills, more = kills + 1, ()
        live(directory)
        found = _events(directory)
        unequal = sum(one != other for one, other in zip(wanted, found, strict=False)) + abs(len(wanted) - len(found))
        return {"kills": kills, "events": len(wanted), "unequal": unequal, "report_differs": _report(directory) != report}


def bars(seen: dict[str, Any]) -> tuple[Bar, ...]:
    return (
        Bar(f"events that differ after {seen['kills']} kills, of {seen['events']:,}", seen["unequal"], 0, least=False),
        Bar("reports that differ", float(seen["report_differs"]), 0, least=False),
    )


def _killed(directory: Path, more: tuple[str, ...], seconds: float) -> bool:
    """True: it was over before it could be killed."""
    process = subprocess.Popen(command(directory, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    over = process.poll() is not None
    process.kill()
    process.wait()
    return over


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
