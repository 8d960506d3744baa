"""A world of which only the ledger and the clock are real: for what control reads and writes there, and nothing else."""

from datetime import datetime
from pathlib import Path
from typing import Any

from flyball.adapters.clock import SimulatedClock
from flyball.adapters.ledger import MemoryLedger
from flyball.control.world import Place, Ports, World
from flyball.spec import ProjectSpec

SPEC = {
    "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
    "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
}  # fmt: skip


def world_at(now: datetime, spec: dict[str, Any] = SPEC, *, registry: Any = None, ledger: MemoryLedger | None = None) -> World:
    ports = Ports(SimulatedClock(now), ledger or MemoryLedger(), None, registry, None, None, None, None)  # type: ignore[arg-type]
    world = World(ProjectSpec.model_validate(spec), Place(Path(), Path()), ports, lambda _style, _words: None)
    world.take_over("test")
    return world
