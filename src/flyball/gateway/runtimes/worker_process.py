"""A worker process from the gateway's side: a deadline, a memory limit, a restart budget.

One that hangs, dies or answers nonsense is killed and started again with growing pauses, and until it stands its callers are told at once.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import msgspec

from flyball.errors import ModelFailed
from flyball.gateway.runtimes import pipe
from flyball.gateway.runtimes.contract import CodeLimits

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""A worker that always dies costs a start every half minute, not a core."""
WORTH_WAITING_SECONDS = 0.2
"""A worker that died once or twice is waited for, within the deadline: whoever shared a batch with the request that killed it is innocent."""
CALM_SECONDS = 60.0
"""A worker that lived this long has earned a fresh restart budget."""


class Program(NamedTuple):
    """What runs in the process."""

    module: str
    name: str
    """In messages: `the model's worker`."""
    order: Mapping[str, Any]
    """The first message, as JSON; `memory_bytes` is added."""


class WorkerProcess:
    """One process, one call at a time."""

    def __init__(self, program: Program, limits: CodeLimits) -> None:
        """Starts it and waits until it is ready. Raises ModelFailed."""
        self._program = program
        self._limits = limits
        self._lock = threading.Lock()
        self._started = threading.Condition(self._lock)
        self._process: subprocess.Popen[bytes] | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._started_at = 0.0
        self._closed = threading.Event()
        self._warm = False
        """The first call of all may import half a library: it warms up and nobody waits for it (reliability.md R29)."""
        with self._lock:
            self._start()

    def call(self, request: Any, limit: int, read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of the answer to `request`; an answer above `limit` bytes is not read, and one that `read` raises at is nonsense.
        Raises ModelFailed."""
        until = monotonic() + (self._limits.deadline_seconds if self._warm else self._limits.start_seconds)
        if not self._lock.acquire(timeout=self._limits.deadline_seconds):
            raise ModelFailed(f"{self._program.name} was busy until the deadline")
        try:
            while self._process is None and self._pause <= WORTH_WAITING_SECONDS and monotonic() < until:
                self._started.wait(0.1)  # frees the lock meanwhile
            if self._process is None:
                raise ModelFailed(f"{self._program.name} is being restarted", retry_after=1 + int(self._pause))
            answer = self._call(msgspec.msgpack.encode(request), until, limit, read)
            self._warm = True
            return answer
        finally:
            self._lock.release()

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._kill()

    def _call(self, request: bytes, until: float, limit: int, read: Callable[[dict[str, Any]], T]) -> T:
        """With the lock held."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ModelFailed(f"{self._program.name} is not running")
        try:
            pipe.send(process.stdin.fileno(), request, until)
            answer = msgspec.msgpack.decode(pipe.receive(process.stdout.fileno(), until, limit))
            if "error" in answer:
                # The code raised, the worker lives: nothing to restart.
                raise ModelFailed(f"the model raised {str(answer['error'])[:300]}")
            return read(answer)
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as broken:
            status = self._kill()
            self._restart_later()
            late = isinstance(broken, TimeoutError)
            words = (
                f"deadline of {self._limits.deadline_seconds:g} s passed"
                if late
                else f"{self._program.name} died ({status}): {broken}"
            )
            raise ModelFailed(words, died=True) from broken

    def _start(self) -> None:
        """With the lock held."""
        order = msgspec.json.encode({**self._program.order, "memory_bytes": self._limits.memory_bytes})
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._program.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(self._limits.environment),
                bufsize=0,
                close_fds=True,
            )
        except OSError as refused:  # no memory, no descriptor: tried again like one that died
            raise ModelFailed(f"{self._program.name} did not start: {refused}") from refused
        self._process = process
        until = monotonic() + self._limits.start_seconds
        try:
            if process.stdin is None or process.stdout is None:
                raise ConnectionError("no pipes")
            os.set_blocking(process.stdin.fileno(), False)
            os.set_blocking(process.stdout.fileno(), False)
            pipe.send(process.stdin.fileno(), order, until)
            ready = msgspec.msgpack.decode(pipe.receive(process.stdout.fileno(), until))
        except (OSError, msgspec.DecodeError) as broken:
            raise ModelFailed(f"{self._program.name} did not start ({self._kill()}): {broken}") from broken
        if ready != {"ready": True}:
            self._kill()
            raise ModelFailed(str(ready.get("error", ready))[:300])
        self._started_at = monotonic()
        self._started.notify_all()

    def _kill(self) -> str:
        """With the lock held: the worker's end, in words."""
        process, self._process = self._process, None
        if process is None:
            return "not running"
        status = process.poll()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        if status is None:
            status = process.returncode
        return f"signal {-status}" if status < 0 else f"exit {status}"

    def _restart_later(self) -> None:
        if monotonic() - self._started_at > CALM_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        threading.Thread(target=self._restart, name="restart-worker", daemon=True).start()

    def _restart(self) -> None:
        while not self._closed.wait(self._pause):
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            with self._lock:
                if self._closed.is_set():
                    return
                try:
                    self._start()
                except ModelFailed:
                    continue
                return
