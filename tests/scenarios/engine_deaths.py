"""Controllers that die around any writing call, and whether the one that comes after goes on as if nothing had happened."""

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine_world import Project

from flyball.control import decisions
from flyball.control.engine import Engine
from flyball.control.world import Ports
from flyball.errors import Fenced
from flyball.spec import ProjectSpec

WRITES = {
    "ledger": ("transact", "claim"),
    "executor": ("launch", "cancel"),
    "registry": ("register", "mark"),
    "gateways": ("publish", "renew_lease"),
    "notifier": ("notify",),
}
"""Every method of a port that changes something outside the controller."""


class Killed(BaseException):
    """Stands for kill -9: nothing that runs afterwards in this process may tidy up."""


class Fuse:
    """Counts writing calls of all ports together; dies around those whose numbers it is given."""

    def __init__(self, deaths: Collection[int] = (), *, after: bool = False) -> None:
        self.calls = 0
        self.names: list[str] = []
        self.instead: Callable[[], object] | None = None
        """What happens there instead of a death."""
        self._deaths = deaths
        self._after = after

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            self.names.append(name)
            dies = self.calls in self._deaths
            if dies and self.instead is not None:
                self.instead()
                return call(*arguments, **named)
            if dies and not self._after:
                raise Killed
            answer = call(*arguments, **named)
            if dies:
                raise Killed
            return answer

        return made

    def wrap(self, ports: Ports) -> Ports:
        return ports._replace(**{name: _Wrapped(getattr(ports, name), name, self) for name in WRITES})


class _Wrapped:
    def __init__(self, port: Any, name: str, fuse: Fuse) -> None:
        self._port, self._name, self._fuse = port, name, fuse

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        return self._fuse.around(f"{self._name}.{method}", found) if method in WRITES[self._name] else found


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
