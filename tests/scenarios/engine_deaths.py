"""Controllers that die around any writing call, and whether the one that comes after goes on as if nothing had happened."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine_world import Project
from tests.simulation.fuse import Fuse, Killed

from flyball.control import decisions
from flyball.control.engine import Engine
from flyball.errors import Fenced
from flyball.spec import ProjectSpec


class Mortal(Project):
    """A project whose controller is started again whenever it died."""

    def __init__(self, root: Path, packages: Path, spec: ProjectSpec, fuse: Fuse) -> None:
        self.deaths = 0
        self.fuse = fuse
        self.stale: list[Engine] = []
        """Controllers that were fenced out and tick on, because nobody stopped their processes."""
        super().__init__(root, spec, fuse.wrap)
        self.workshop.root = packages

    def new_engine(self, owner: str = "control") -> Any:
        while True:
            try:
                return super().new_engine(owner)
            except Killed:
                self.deaths += 1

    def tick(self) -> None:
        while True:
            try:
                super().tick()
            except Killed:
                self.deaths += 1
                self.restart()
            except Fenced:
                self.stale.append(self.engine)
                self.restart()
            else:
                return self._let_the_stale_try()

    def _let_the_stale_try(self) -> None:
        for engine in self.stale:
            before = self.ledger.head()
            with suppress(Fenced):
                engine.tick()
            assert self.ledger.head() == before


def end_of(project: Project) -> dict[str, Any]:
    """All that a run leaves behind, but for what a death may rightly leave: a claim, and a launch that was tried once more."""
    states = {place: _settled(place[0], text) for place, (text, _) in project.ledger.projection.items()}
    told = Counter(
        (event.kind, event.subject) for event in project.ledger.events() if event.kind not in ("control.claimed", "job.launched")
    )
    return {
        "states": states,
        "events": told,
        "decisions": decisions.recorded(project.door),
        "versions": project.registry.versions("shop"),
        "aliases": {alias: project.registry.marked("shop", alias) for alias in ("champion", "challenger")},
        "served": {worker: table.digest if table else None for worker, table in project.gateways.served.items()},
        "notified": set(project.told.heard),
    }


def _settled(kind: str, text: str) -> str:
    return text.replace('"attempt":2', '"attempt":1').replace('"attempt":3', '"attempt":1') if kind == "job" else text
