"""Whole replays by `flyball replay`, and what their ledgers say of every act: the flights example as it is, and two streams of other data."""

import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.effects import projects
from bench.effects.told import Judged, bar, tables_of
from bench.monitoring.data import DATA, Absent
from bench.replay.projects import live
from bench.serving.bars import Bar
from bench.serving.rounds import tell
from flyball.adapters.ledger import SqliteLedger
from flyball.records import codec
from flyball.records.effects import Effect

EXAMPLE = "the flights example"
FULL = (EXAMPLE, "noaa", "elec2")
SHORT = ("noaa",)


def measure(plan: tuple[str, ...]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for number, name in enumerate(plan):
            directory = Path(place) / str(number)
            try:
                report = live(projects.example(directory) if name == EXAMPLE else projects.of_stream(name, DATA, directory))
            except Absent as absent:
                tell(f"left out: {absent}")
                continue
            acts = effects_of(directory / ".flyball" / "replay")
            seen[name] = [each._asdict() for act in acts for each in judged_of(act)]
            tell(
                f"{name}: {len(acts)} acts in {report['predictions']:,} rows, {len(seen[name])} of them foretold and measured, {report['wall_seconds']:.0f} s"
            )
    return seen


def effects_of(state_dir: Path) -> tuple[Effect, ...]:
    """Of a replay's ledger."""
    return tuple(codec.revive(each.value, Effect) for each in SqliteLedger(state_dir).states("effect"))


def judged_of(effect: Effect) -> tuple[Judged, ...]:
    """Nothing of what was not foretold or could not be measured."""
    value = None if effect.realised is None else effect.realised.value
    return () if value is None or effect.expected is None else (Judged(value, *effect.expected),)


def bars(seen: dict[str, Any]) -> tuple[Bar, ...]:
    return (bar(seen),)


def tables(seen: dict[str, Any]) -> tuple[Table, ...]:
    return tables_of(seen)
