"""A world of which only the ledger and the clock are real: for what control reads and writes there, and nothing else."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from flyball.adapters.clock import SimulatedClock
from flyball.adapters.ledger import MemoryLedger
from flyball.control.world import Place, Ports, World
from flyball.records.events import Event, Stored
from flyball.spec import ProjectSpec

SPEC = {
    "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"},
    "data": {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"},
}  # fmt: skip


class Unheard:
    """A notifier that nobody follows."""

    def notify(self, subject: str, words: str) -> None: ...


def world_at(
    now: datetime, spec: dict[str, Any] = SPEC, *, registry: Any = None, ledger: MemoryLedger | None = None, executor: Any = None
) -> World:
    ports = Ports(SimulatedClock(now), ledger or MemoryLedger(), executor, registry, None, None, None, Unheard())  # type: ignore[arg-type]
    world = World(ProjectSpec.model_validate(spec), Place(Path(), Path()), ports, lambda _style, _words: None)
    world.take_over("test")
    return world


class CountingLedger(MemoryLedger):
    """Counts what its readers are given: events and states, and of these what they have to decode."""

    given = decoded = 0

    def events(self, **asked: Any) -> tuple[Event, ...]:
        found = super().events(**asked)
        self.given += len(found)
        self.decoded += len(found)
        return found

    def state(self, kind: str, key: str) -> Stored | None:
        self.given += 1
        self.decoded += 1
        return super().state(kind, key)

    def states(self, kind: str, known: Callable[[str, int], bool] | None = None) -> tuple[Stored, ...]:
        found = super().states(kind, known)
        self.given += len(found)
        self.decoded += sum(bool(stored.value) for stored in found)
        return found
