"""Keeps what gateways serve equal to the routing file while they run."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from flyball.adapters.gateways_http import HttpGateways
from flyball.adapters.heartbeat import Heartbeat
from flyball.adapters.standalone.routing_file import RoutingFile
from flyball.control.ports import Clock, Say
from flyball.errors import FlyballError, StoreUnavailable
from flyball.records import codec
from flyball.records.routing import Route, RoutingTable

LOOK_SECONDS = 0.5
TAKEN_SECONDS = 60.0
"""Loading a large model on a cold disk takes tens of seconds; after that its workers' own logs say more."""


class Follower:
    """`with Follower(…):` publishes the file's routes, again whenever it changes, and renews the canaries' lease.

    The dead-man rule asks whether somebody who would take a harmful canary back is there. Without a control plane that is whoever wrote the
    weight into the file: the canary lasts as long as this process, which would carry their next word out.
    """

    def __init__(self, file: RoutingFile, state_dir: Path, gateways: HttpGateways, clock: Clock, say: Say) -> None:
        self._file = file
        self._table = state_dir / "routing.json"
        self._gateways = gateways
        self._clock = clock
        self._say = say
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="routing-file", daemon=True)
        self._lease = Heartbeat(gateways, lambda: not self._end.is_set())

    def __enter__(self) -> Self:
        """Raises what is wrong with the file, before anything has changed."""
        self._publish(self._file.routes())
        self._lease.__enter__()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._lease.__exit__(kind, error, trace)
        self._thread.join()

    def _follow(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            if self._file.changed() and self._file.settled():
                try:
                    self._take()
                except Exception as unforeseen:  # noqa: BLE001 - a thread that ended here would leave a canary without anybody who follows the file
                    self._say(
                        "bad",
                        f"The routes were not taken: {type(unforeseen).__name__}: {unforeseen}. Those before go on being served.",
                    )

    def _take(self) -> None:
        try:
            revision = self._publish(self._file.routes())
        except FlyballError as wrong:
            self._say("bad", f"{wrong.message.rstrip('.')}\nThe routes before it go on being served.")
            return
        if revision is None:
            self._say("good", f"{self._file.path.name} holds; what it says is served already.")
        else:
            self._tell_when_taken(revision)

    def _publish(self, routes: tuple[Route, ...]) -> int | None:
        """The revision that was written; None: the routes are served already."""
        present = self._present()
        table = RoutingTable(revision=present.revision + 1 if present else 1, written_at=self._clock.now(), routes=routes)
        if present is not None and present.digest == table.digest:
            return None
        self._gateways.publish(table)
        return table.revision

    def _present(self) -> RoutingTable | None:
        try:
            return codec.decode(self._table.read_bytes(), RoutingTable)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreUnavailable(
                f"{self._table} cannot be read: {error}", next_step="stop this gateway, delete that file and start again"
            ) from error

    def _tell_when_taken(self, revision: int) -> None:
        deadline = time.monotonic() + TAKEN_SECONDS
        while not self._end.wait(0.1):
            reports = self._gateways.observe()
            if reports and all(report.revision == revision for report in reports):
                self._say("good", f"Revision {revision} of the routes is served by every worker ({len(reports)}).")
                return
            refused = next((each for each in reports if each.answers and each.error), None)
            if refused is None and self._file.changed():
                return  # what came after it is looked at next, and told
            if refused is not None or time.monotonic() > deadline:
                words = refused.error.rstrip(".") if refused else f"it is not served after {TAKEN_SECONDS:g} s"
                self._say("bad", f"Revision {revision} of the routes is not served by every worker: {words}.")
                return
