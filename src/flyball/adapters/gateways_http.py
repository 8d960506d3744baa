"""The data plane over files that gateways read and the loopback port on which each worker tells what it serves."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from flyball.adapters.durable import replace_file, was_written_in
from flyball.adapters.heartbeat import LeaseFile
from flyball.adapters.keep_alive import FAILURES, Answer, KeepAlive
from flyball.errors import Conflict, FlyballError, StoreUnavailable
from flyball.machine.birth import Birth, runs
from flyball.records import codec
from flyball.records.routing import GatewayReport, RoutingTable

NUDGE_SECONDS = 0.25
"""A table without new models is taken within it, so that the look that follows sees the switch; a tick must not wait for models to be loaded."""
LAST_NUDGE_SECONDS = 0.01
"""For a worker whose turn comes when the others have taken all of that: it is told all the same."""
REFUSED = 401
OBSERVE_SECONDS = 5.0
"""A worker that loads a model answers from its event loop all the same; who is silent for longer cannot prove what it serves."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """`DIR/gateways/<worker>.json`, written by each worker when it listens. Other fields are its own business."""

    worker: str = ""
    """From the file's name."""
    pid: int
    admin_port: int
    device: int | None = None
    inode: int | None = None
    """Of the directory in which it was written: in a copy of a project it speaks of the original's worker. None: an earlier release's."""
    ticks: int | None = None
    boot: int | None = None
    """Of its process, as Birth has them."""

    @property
    def lives(self) -> bool:
        """A killed worker's card stays. Its port may be somebody else's by now, who must not get the token, and its number another process's."""
        return runs(self.pid, Birth(ticks=self.ticks, boot=self.boot))


class HttpGateways:
    """`workers`: how many should be there; one that is missing is reported as an error, not left out."""

    def __init__(
        self,
        state_dir: Path,
        token: Callable[[], str],
        workers: int,
        nudge_seconds: float = NUDGE_SECONDS,
        lease: LeaseFile | None = None,
    ) -> None:
        """`token`: the owner's as it is now; asked again when a worker refuses the last one. `nudge_seconds`: how long all of them together are waited
        for that take a new table, models and all. `lease`: of the controller. Raises what `token` raises."""
        self._state_dir = state_dir
        self._nudge_seconds = nudge_seconds
        self._table = state_dir / "routing.json"
        self._lease = lease or LeaseFile(state_dir)
        self._workers = workers
        self.seen: tuple[GatewayReport, ...] = ()
        """The last observation, for whoever sums up what the reports say."""
        self._token = token
        self._known = token()
        self._clients: dict[str, tuple[int, KeepAlive]] = {}
        """Worker → its admin port, and the client that talks to it."""

    def publish(self, table: RoutingTable) -> None:
        """Raises Conflict when a larger revision is there, or the same one with other routes; StoreUnavailable."""
        present = self.published()
        if present is not None and present.revision > table.revision:
            raise Conflict(f"the routing table has revision {present.revision}", expected=f"less than {table.revision}")
        if present is not None and present.revision == table.revision and present.digest != table.digest:
            raise Conflict(
                f"revision {table.revision} of the routing table has other routes", expected="a larger revision for a change"
            )
        if present is None or present.revision < table.revision:
            replace_file(self._table, codec.encode(table))
        takes_it = {report.worker for report in self.seen if report.loading == table.revision}
        until = time.monotonic() + self._nudge_seconds
        for worker in self._listed():
            if worker.worker not in takes_it:
                self._nudge(worker, max(until - time.monotonic(), LAST_NUDGE_SECONDS))

    def published(self) -> RoutingTable | None:
        return table_at(self._table, "move it away: the control process writes it anew")

    def observe(self) -> tuple[GatewayReport, ...]:
        self.seen = self._look()
        return self.seen

    def _look(self) -> tuple[GatewayReport, ...]:
        listed = self._listed()
        lives = [worker for worker in listed if worker.lives]
        # Beside one another: one that hangs is waited for for seconds, and a scrape of this has ten for all.
        with ThreadPoolExecutor(max(len(lives), 1)) as asking:
            answers = asking.map(self._ask, lives) if len(lives) > 1 else map(self._ask, lives)
            reports = {worker.worker: report for worker, report in zip(lives, answers, strict=True)}
        for worker in listed:
            reports.setdefault(worker.worker, _silent(worker.worker, worker.pid, f"process {worker.pid} has ended"))
        if not reports and not self._supervised():
            return ()
        expected = [str(number) for number in range(self._workers)]
        for name in expected:
            if name not in reports:
                reports[name] = _silent(name, 0, "no such worker has started")
        # A worker that is not expected any more (fewer are run than before) matters only while it lives.
        return tuple(report for name, report in sorted(reports.items()) if name in expected or not report.error)

    def alive(self) -> int:
        """How many workers run, as their cards tell: nobody is asked."""
        return sum(worker.lives for worker in self._listed())

    def renew_lease(self) -> None:
        self._lease.renew_lease()

    def lease_age(self) -> timedelta:
        return self._lease.age()

    def close(self) -> None:
        for _, client in self._clients.values():
            client.close()

    def _supervised(self) -> bool:
        """Whether a supervisor runs, whose workers are then missing rather than not wanted."""
        try:
            directory = self._state_dir / "run"
            run = codec.decode((directory / "supervisor.json").read_bytes(), dict[str, Any])
            return runs(int(run["pid"]), Birth()) and was_written_in(directory, run.get("device"), run.get("inode"))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _listed(self) -> Sequence[Card]:
        found = []
        for path in sorted((self._state_dir / "gateways").glob("*.json")):
            try:
                card = codec.decode(path.read_bytes(), Card)
                if was_written_in(path.parent, card.device, card.inode):
                    found.append(msgspec.structs.replace(card, worker=path.stem))
            except (OSError, ValueError):
                continue  # being replaced, or of a worker that died while writing: it is missing, and reported as such
        return found

    def _nudge(self, worker: Card, seconds: float) -> None:
        # Level-triggered: the worker reads the file by itself, and one that was not waited for goes on; a nudge only makes it sooner.
        if worker.lives:
            try:
                self._answer(worker, "POST", "/flyball/reload", seconds)
            except (*FAILURES, FlyballError, ValueError):  # a token that is no header is a ValueError
                return

    def _answer(self, worker: Card, method: str, path: str, seconds: float) -> Answer:
        """Raises one of FAILURES, and a FlyballError where the owner's token is refused and another one cannot be read."""
        answer = self._to(worker).ask(method, path, timeout=seconds, headers=_bearer(self._known))
        if answer.status != REFUSED:
            return answer
        # Workers read it within a second when the owner replaces it, and this process may live for months.
        before, self._known = self._known, self._token()
        if self._known == before:
            return answer
        return self._to(worker).ask(method, path, timeout=seconds, headers=_bearer(self._known))

    def _to(self, worker: Card) -> KeepAlive:
        port, client = self._clients.get(worker.worker, (0, None))
        if client is None or port != worker.admin_port:
            if client is not None:
                client.close()  # of the process before
            client = KeepAlive("127.0.0.1", worker.admin_port, {})
            self._clients[worker.worker] = (worker.admin_port, client)
        return client

    def _ask(self, worker: Card) -> GatewayReport:
        try:
            answer = self._answer(worker, "GET", "/flyball/served", OBSERVE_SECONDS)
        except FAILURES as error:
            return _silent(worker.worker, worker.pid, f"it does not answer: {str(error) or type(error).__name__}")
        except FlyballError as error:
            return _silent(worker.worker, worker.pid, f"it refuses the owner's token that is known here, and {error.message}")
        except ValueError:  # its words quote the token, and viewers read these
            return _silent(worker.worker, worker.pid, "the owner's token that is known here can stand in no header")
        if answer.status != 200:
            return _silent(worker.worker, worker.pid, f"it answered {answer.status}: {answer.text[:200]}")
        try:
            report = codec.decode(answer.body, GatewayReport)
        except ValueError as error:
            return _silent(worker.worker, worker.pid, f"its report cannot be read: {error}")
        if report.worker != worker.worker or report.pid != worker.pid:
            return _silent(worker.worker, worker.pid, f"worker {report.worker} (process {report.pid}) answers on its port")
        return report


def table_at(path: Path, next_step: str) -> RoutingTable | None:
    """What gateways were told last; None: nothing was. Raises StoreUnavailable, with what to do then."""
    try:
        return codec.decode(path.read_bytes(), RoutingTable)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}", next_step=next_step) from error


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _silent(worker: str, pid: int, words: str) -> GatewayReport:
    return GatewayReport(worker=worker, pid=pid, revision=None, digest=None, error=words, answers=False)
