"""One process that is to run for ever."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from flyball.adapters.durable import PRIVATE_UMASK
from flyball.errors import OperatorError

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0
"""From one start to the next: what the budget below allows on average. Counted from the start, and no longer: what has lived as long has waited enough, and
a wait would only make an outage of what was killed from outside."""
HEALTHY_SECONDS = 10.0
"""Who lived so long died of something new: the waits begin anew."""
BUDGET, BUDGET_SECONDS = 30, 60.0
"""More restarts than this in a minute are a machine that burns: one every half minute from then on, until a minute is quiet. Never none: a gateway
that is not started again is an outage for certain."""
SPENT_WAIT_SECONDS = 30.0


LOG_BYTES = 16 * 1024**2
"""A log that has grown beyond this is put aside when its process is started again: months of a quiet gateway, and a minute of whoever wants to fill the disk."""


class Recipe(NamedTuple):
    """How a child is started."""

    name: str
    command: tuple[str, ...]
    log: Path
    descriptors: tuple[int, ...] = ()
    """Inherited, by number."""
    directory: Path | None = None


class Child:
    """A process and the history of its deaths. Times are seconds of a monotonic clock."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths: list[float] = []
        self.quick_deaths = 0
        self.due = 0.0
        """When it may be started next."""
        self._started = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    @property
    def burning(self) -> bool:
        """Its budget of restarts is spent."""
        return len(self.deaths) > BUDGET

    def start(self, now: float) -> None:
        """Raises OperatorError when it cannot be started: that counts as a death, and its next start is planned."""
        self._started = now
        try:
            self._start()
        except OSError as error:
            self._plan(now)
            where = f"{error.filename}: " if error.filename else ""
            raise OperatorError(f"{self.recipe.name} cannot be started: {where}{error.strerror or error}") from error

    def died(self, now: float) -> bool:
        """Whether it has died since it was started; plans its next start then."""
        if self.process is None or self.process.poll() is None:
            return False
        self.process = None
        self._plan(now)
        return True

    def _start(self) -> None:
        self.recipe.log.parent.mkdir(parents=True, exist_ok=True)
        _put_aside(self.recipe.log)
        with self.recipe.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.recipe.command,
                cwd=self.recipe.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self.recipe.descriptors,
                umask=PRIVATE_UMASK,
                start_new_session=True,  # a Ctrl-C goes to the supervisor alone, which ends its children in order
            )

    def _plan(self, now: float) -> None:
        self.deaths = [at for at in self.deaths if now - at < BUDGET_SECONDS] + [now]
        self.quick_deaths = 0 if now - self._started >= HEALTHY_SECONDS else self.quick_deaths + 1
        apart = min(FIRST_WAIT_SECONDS * 2 ** min(max(self.quick_deaths - 1, 0), 10), LONGEST_WAIT_SECONDS)
        wait = max(self._started + apart - now, FIRST_WAIT_SECONDS)
        self.due = now + (SPENT_WAIT_SECONDS if self.burning else wait)

    def ask_to_end(self) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """With its descendants (model workers)."""
        if self.pid is not None:
            kill_family(self.pid)
        if self.process is not None:
            self.process.wait()


def _put_aside(log: Path) -> None:
    """In the place of the one before it, so that two are kept. Who is still writing to it (a worker that is being succeeded) goes on there."""
    with suppress(OSError):  # no room for a name keeps nothing from being started
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))


def kill_family(pid: int) -> None:
    try:
        family = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        family = []
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()


def last_words(log: Path, size_bytes: int = 1500) -> str:
    """The end of a process's log, for a message."""
    try:
        return log.read_bytes()[-size_bytes:].decode(errors="replace").strip()
    except OSError:
        return ""


def gateway_command(python: str, state_dir: Path, worker: str, descriptor: int, more: Sequence[str]) -> tuple[str, ...]:
    """The command line of a gateway worker that serves on an inherited socket."""
    return (*gateway_program(python, state_dir, worker), "--fd", str(descriptor), *more)


def gateway_program(python: str, state_dir: Path, worker: str) -> tuple[str, ...]:
    """The gateway over a state directory, whatever it is to do there."""
    return (python, "-P", "-m", "flyball.gateway", "--state-dir", str(state_dir), "--worker", worker)
