"""The routing file's routes, published to the workers."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.gateway_limits import limit_arguments
from flyball.adapters.gateways_http import HttpGateways, table_at
from flyball.adapters.standalone.retention import hand_over
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.control.ports import Clock, Say
from flyball.errors import FlyballError, StoreUnavailable
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable, ServedUnit

TAKEN_SECONDS = 60.0
"""Loading a large model on a cold disk takes tens of seconds; after that its workers' own logs say more."""


UNITS = "units.json"
"""Every unit that was ever routed: what its captured rows are, once the file names it no more."""


def routed_units(state_dir: Path) -> dict[str, ServedUnit]:
    """Unit id → the unit, of all that were ever routed. Raises StoreUnavailable."""
    path = state_dir / UNITS
    try:
        return codec.decode(path.read_bytes(), dict[str, ServedUnit])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"{path} cannot be read: {error}", next_step="delete that file: captured rows of earlier units then lose their types"
        ) from error


class Published:
    """What gateways serve, and how it becomes what the file says."""

    def __init__(self, state_dir: Path, gateways: HttpGateways, clock: Clock) -> None:
        self._state_dir = state_dir
        self._table = state_dir / "routing.json"
        self._gateways = gateways
        self._clock = clock

    def publish(self, routes: tuple[Route, ...]) -> int | None:
        """The revision that was written; None: the routes are served already. Raises StoreUnavailable, Conflict."""
        present = table_at(self._table, "stop this gateway, delete that file and start again")
        table = RoutingTable(revision=present.revision + 1 if present else 1, written_at=self._clock.now(), routes=routes)
        if present is not None and present.digest == table.digest:
            return None
        self._remember(routes)
        self._gateways.publish(table)
        return table.revision

    def take(self, file: RoutingFile, arguments: str, say: Say) -> None:
        """Publish the file as it is now, and say what came of it: when every worker serves it, or what is wrong.
        `arguments`: that its workers are started with; limits are the last."""
        try:
            routes, notes, keep, limits = file.compiled()
            hand_over(self._state_dir, keep)
            revision = self.publish(routes)
        except FlyballError as wrong:
            say("bad", f"{wrong.message.rstrip('.')}\nThe routes before it go on being served.")
            return
        if not arguments.endswith(" ".join(limit_arguments(limits))):
            notes = (*notes, f"serve: of {file.path.name} is not what this gateway was started with: stop it and start it again.")
        for note in notes:
            say("plain", note)
        if revision is None:
            say("good", f"{file.path.name} holds; what it says is served already.")
        else:
            self._tell_when_taken(revision, file.changed, say)

    def _remember(self, routes: tuple[Route, ...]) -> None:
        known = routed_units(self._state_dir)
        routed = {served.unit.id: served for route in routes for served in route.units}
        if not routed.keys() <= known.keys():
            replace_file(self._state_dir / UNITS, codec.encode(known | routed))

    def _tell_when_taken(self, revision: int, changed: Callable[[], bool], say: Say) -> None:
        pause, deadline = threading.Event(), time.monotonic() + TAKEN_SECONDS
        while not pause.wait(0.1):
            reports = self._gateways.observe()
            if reports and all(report.revision == revision for report in reports):
                say("good", f"Revision {revision} of the routes is served by every worker ({len(reports)}).")
                return
            refused = next((each for each in reports if each.answers and each.error), None)
            if refused is None and changed():
                return  # what came after it is looked at next, and told
            if refused is not None or time.monotonic() > deadline:
                words = refused.error.rstrip(".") if refused else f"it is not served after {TAKEN_SECONDS:g} s"
                say("bad", f"Revision {revision} of the routes is not served by every worker: {words}.")
                return
