"""A controller that dies, or stands still, around a chosen one of its writing calls."""

from collections.abc import Callable, Collection
from typing import Any

from flyball.control.world import Ports

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
        self.asked: Callable[[], bool] = lambda: True
        """At each of its deaths: whether it is one."""
        self.deaths = deaths
        self.after = after

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            self.names.append(name)
            dies = self.calls in self.deaths and self.asked()
            if dies and self.instead is not None:
                self.instead()
                return call(*arguments, **named)
            if dies and not self.after:
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
