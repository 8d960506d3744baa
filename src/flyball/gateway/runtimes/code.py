"""Code formats, from the gateway's side: a worker process with a deadline, a memory limit and a restart budget.

The gateway never unpickles. It hands rows over a pipe and takes floats back; a worker that hangs, dies or answers nonsense is
killed and started again with growing pauses, and until it stands the unit fails fast.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import numpy as np

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.runtimes import pipe
from flyball.gateway.runtimes.contract import CodeLimits, Columns, as_scores
from flyball.records.signature import Signature

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""A worker that always dies costs a start every half minute, not a core."""
WORTH_WAITING_SECONDS = 0.2
"""A worker that died once or twice is waited for, within the deadline: whoever shared a batch with the request that killed it is innocent."""
CALM_SECONDS = 60.0
"""A worker that lived this long has earned a fresh restart budget."""


class CodeRuntime:
    """One worker process, one call at a time."""

    def __init__(self, model: Path, digest: str, signature: Signature, limits: CodeLimits) -> None:
        """Starts the worker and waits until it has loaded the model; `digest` is the file's SHA-256, checked again by the worker."""
        self._model = model
        self._digest = digest
        self._signature = signature
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
            try:
                self._start()
            except ModelFailed as failed:
                raise ArtifactDamaged(
                    f"the worker of {model.parent.parent.name} does not load its model: {failed.found}"
                ) from failed

    def score(self, columns: Columns, n: int) -> np.ndarray[Any, Any]:
        until = monotonic() + (self._limits.deadline_seconds if self._warm else self._limits.start_seconds)
        if not self._lock.acquire(timeout=self._limits.deadline_seconds):
            raise ModelFailed("the model's worker was busy until the deadline")
        try:
            while self._process is None and self._pause <= WORTH_WAITING_SECONDS and monotonic() < until:
                self._started.wait(0.1)  # frees the lock meanwhile
            if self._process is None:
                raise ModelFailed("the model's worker is being restarted", retry_after=1 + int(self._pause))
            request = msgspec.msgpack.encode({"n": n, "columns": [_plain(columns[c.name]) for c in self._signature.columns]})
            answer = self._call(request, until, 65_536 + 16 * n * (1 + len(self._signature.classes)))
        finally:
            self._lock.release()
        self._warm = True
        return as_scores(np.frombuffer(answer["scores"], dtype="<f8").reshape(answer["shape"]), self._signature)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._kill()

    def _call(self, request: bytes, until: float, limit: int) -> dict[str, Any]:
        """With the lock held; an answer above `limit` bytes is not read."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ModelFailed("the model's worker is not running")
        try:
            pipe.send(process.stdin.fileno(), request, until)
            answer = msgspec.msgpack.decode(pipe.receive(process.stdout.fileno(), until, limit))
            if "error" in answer:
                # The code raised, the worker lives: nothing to restart.
                raise ModelFailed(f"the model raised {str(answer['error'])[:300]}")
            shape = answer["shape"]
            if 8 * int(np.prod(shape)) != len(answer["scores"]):
                raise ConnectionError("scores that do not fit their shape")
        except (OSError, msgspec.DecodeError, KeyError, TypeError) as broken:
            status = self._kill()
            self._restart_later()
            late = isinstance(broken, TimeoutError)
            words = (
                f"deadline of {self._limits.deadline_seconds:g} s passed"
                if late
                else f"the model's worker died ({status}): {broken}"
            )
            raise ModelFailed(words, died=True) from broken
        return dict(answer)

    def _start(self) -> None:
        """With the lock held."""
        order = msgspec.json.encode(
            {
                "model": str(self._model),
                "digest": self._digest,
                "signature": msgspec.to_builtins(self._signature),
                "memory_bytes": self._limits.memory_bytes,
            }
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "flyball.gateway.code_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(self._limits.environment),
            bufsize=0,
            close_fds=True,
        )
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
            raise ModelFailed(f"the worker did not start ({self._kill()}): {broken}") from broken
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
        threading.Thread(target=self._restart, name="restart-code-worker", daemon=True).start()

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


def _plain(column: np.ndarray[Any, Any]) -> Any:
    """Numbers as little-endian float32 bytes, categories as strings."""
    return (
        column[:, 0].tolist()
        if column.dtype == object
        else np.ascontiguousarray(column[:, 0]).astype("<f4", copy=False).tobytes()
    )
