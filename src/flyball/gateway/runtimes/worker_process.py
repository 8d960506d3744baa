"""A worker process from the gateway's side: a deadline, a memory limit, a restart budget.

One that hangs, dies or answers nonsense is killed and started again, and warmed up before anybody's request reaches it. Where it has answered of late its
callers wait for that within the deadline: a request that kills it is the fault of whoever sent it. One that dies whatever it is asked, or does not start, is
started with growing pauses, and its callers are told at once.
"""

import asyncio
import contextlib
import os
import signal
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
from flyball.gateway.runtimes.watched import AT_ONCE_BYTES, BROKEN, Call, Watched

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""A worker that always dies costs a start every half minute, not a core."""
WORTH_WAITING_SECONDS = 0.2
"""Of a pause: a worker that is started again at once is waited for, since whoever shared a batch with the request that killed it is innocent."""
DEATHS_IN_A_ROW = 10
"""Without an answer between, and still it is started again at once: of rows that kill, one client sends them as fast as others send theirs now and then (one
such run in a thousand where every second request kills). A worker that dies of everything costs ten starts, then one every half minute."""
CALM_SECONDS = 60.0
"""A worker that lived this long has earned a fresh restart budget."""


class Program(NamedTuple):
    """What runs in the process."""

    module: str
    name: str
    """In messages: `the model's worker`."""
    order: Mapping[str, Any]
    """The first message, as JSON; `memory_bytes` is added."""
    sample: Mapping[str, Any] | None = None
    """A request that warms it up: the first of all may import half a library, and nobody waits for it (reliability.md R29). None: it does so itself."""


class WorkerProcess:
    """One process, one call at a time."""

    def __init__(self, program: Program, limits: CodeLimits) -> None:
        """Starts it and waits until it is ready. Raises ModelFailed."""
        self._program = program
        self._limits = limits
        self._lock = threading.Lock()
        """Held for a call, never for a start."""
        self._tried = threading.Condition(self._lock)
        self._process: subprocess.Popen[bytes] | None = None
        """None: it is being restarted."""
        self._starting: subprocess.Popen[bytes] | None = None
        self._pause = FIRST_PAUSE_SECONDS
        """Before the start that comes next, or is being made."""
        self._deaths = 0
        """Since it answered last."""
        self._unstarted = False
        """Its restart could not be begun: the next call does."""
        self._closed = threading.Event()
        self._process = self._start()
        self._started_at = monotonic()

    def call(self, request: Any, limit: int, read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of the answer to `request`; an answer above `limit` bytes is not read, and one that `read` raises at is nonsense.
        Raises ModelFailed. The deadline holds twice: for the wait, and then for the worker, which is not to die of its callers' waiting."""
        until = monotonic() + self._limits.deadline_seconds
        if not self._lock.acquire(timeout=self._limits.deadline_seconds):
            raise ModelFailed(f"{self._program.name} was busy until the deadline")
        try:
            if self._unstarted:
                self._restart_later()
            while (
                self._process is None
                and not self._unstarted
                and self._pause <= WORTH_WAITING_SECONDS
                and (left := until - monotonic()) > 0
            ):
                self._tried.wait(left)  # frees the lock meanwhile
            if self._process is None:
                raise ModelFailed(f"{self._program.name} is being restarted", retry_after=1 + int(self._pause))
            return self._call(self._process, msgspec.msgpack.encode(request), limit, read)
        finally:
            self._lock.release()

    def begin(self, request: Any, limit: int, read: Callable[[dict[str, Any]], T]) -> "asyncio.Future[T] | None":
        """As `call`, on the running event loop and without a thread that waits. None: not now. Another call is being made, the process is being
        restarted, or the request is larger than a pipe takes at once."""
        encoded = msgspec.msgpack.encode(request)
        if len(encoded) > AT_ONCE_BYTES or not self._lock.acquire(blocking=False):
            return None
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            self._lock.release()
            return None
        pipes = process.stdin.fileno(), process.stdout.fileno()

        def lost(broken: Exception) -> ModelFailed:
            return self._lost(process, broken)

        call = Call(pipes, limit, lambda said: self._heard(said, read), lost, self._lock.release)
        return Watched(call, encoded, self._limits.deadline_seconds).answer

    def close(self) -> None:
        self._closed.set()
        # A call that an event loop watches which turns no more is held for ever.
        held = self._lock.acquire(timeout=self._limits.deadline_seconds + 1)
        if self._starting is not None:
            _kill(self._starting)  # whoever starts it sees its end
        process, self._process = self._process, None
        if held:
            self._lock.release()
        if process is not None:
            _end(process)

    def _call(self, process: subprocess.Popen[bytes], request: bytes, limit: int, read: Callable[[dict[str, Any]], T]) -> T:
        """With the lock held."""
        try:
            return self._heard(_asked(process, request, monotonic() + self._limits.deadline_seconds, limit), read)
        except BROKEN as broken:
            raise self._lost(process, broken) from broken

    def _heard(self, said: bytes, read: Callable[[dict[str, Any]], T]) -> T:
        """With the lock held: an answer. Raises ModelFailed where the code raised: the worker lives, and there is nothing to restart."""
        answer = _read(said)
        if "error" in answer:
            self._deaths = 0
            raise ModelFailed(f"the model raised {str(answer['error'])[:300]}")
        told = read(answer)
        self._deaths = 0
        return told

    def _lost(self, process: subprocess.Popen[bytes], broken: Exception) -> ModelFailed:
        """With the lock held: it did not answer as it should, and is ended."""
        self._process, status = None, _end(process)
        self._deaths = 1 if monotonic() - self._started_at > CALM_SECONDS else self._deaths + 1
        if self._deaths <= DEATHS_IN_A_ROW:
            self._pause = FIRST_PAUSE_SECONDS
        self._restart_later()
        late = isinstance(broken, TimeoutError)
        words = (
            f"deadline of {self._limits.deadline_seconds:g} s passed"
            if late
            else f"{self._program.name} died ({status}): {broken}"
        )
        return ModelFailed(words, died=True)

    def _start(self) -> subprocess.Popen[bytes]:
        """One that has answered the sample, whatever it said: that would be its model's fault. Raises ModelFailed."""
        order = msgspec.json.encode({**self._program.order, "memory_bytes": self._limits.memory_bytes})
        until = monotonic() + self._limits.start_seconds
        process = self._launched()
        failing = "did not start"
        try:
            ready = _read(_asked(process, order, until))
            if ready != {"ready": True}:
                _end(process)
                raise ModelFailed(str(ready.get("error", ready))[:300])
            if self._program.sample is not None:
                failing = "does not answer a sample"
                _asked(process, msgspec.msgpack.encode(self._program.sample), until)
        except (OSError, msgspec.DecodeError) as broken:
            raise ModelFailed(f"{self._program.name} {failing} ({_end(process)}): {broken}") from broken
        finally:
            with self._lock:
                self._starting = None
        return process

    def _launched(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._program.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(self._limits.environment),
                bufsize=0,
                close_fds=True,
                start_new_session=True,  # a group of its own: what the model forks ends with it
            )
        except OSError as refused:  # no memory, no descriptor: tried again like one that died
            raise ModelFailed(f"{self._program.name} did not start: {refused}") from refused
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
        with self._lock:
            self._starting = process
            if self._closed.is_set():
                _kill(process)
        return process

    def _restart_later(self) -> None:
        """With the lock held."""
        try:
            threading.Thread(target=self._restart, name="restart-worker", daemon=True).start()
            self._unstarted = False
        except RuntimeError:  # this user may have no more threads for now
            self._unstarted = True

    def _restart(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        while process is None and not self._closed.wait(self._pause):
            with contextlib.suppress(ModelFailed):
                process = self._start()
            with self._lock:
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                if process is not None and self._closed.is_set():
                    _end(process)
                else:
                    self._process, self._started_at = process, monotonic()
                self._tried.notify_all()


def _asked(process: subprocess.Popen[bytes], message: bytes, until: float, limit: int = pipe.MAX_MESSAGE_BYTES) -> bytes:
    """What it answers. Raises OSError."""
    if process.stdin is None or process.stdout is None:
        raise ConnectionError("no pipes")
    pipe.send(process.stdin.fileno(), message, until)
    return pipe.receive(process.stdout.fileno(), until, limit)


def _read(said: bytes) -> dict[str, Any]:
    """Its model's code may have written that. Raises msgspec.DecodeError for what no answer can be."""
    try:
        return msgspec.msgpack.decode(said, type=dict[str, Any])
    except RecursionError as deep:
        raise msgspec.DecodeError(f"it answered what cannot be read: {deep}") from deep


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that its model has forked. A group keeps its number for as long as nobody has asked how its first process ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> str:
    """Its end, in words."""
    _kill(process)
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    return f"signal {-status}" if status < 0 else f"exit {status}"
