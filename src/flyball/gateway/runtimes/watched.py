"""One call of a worker process, watched by the event loop.

A thread that waits for a pipe needs the interpreter three times a call, and waits for it each time while the loop works: beside sixteen clients a call of a
model that answers in half a millisecond took three.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from select import PIPE_BUF
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

import msgspec

from flyball.errors import ModelFailed
from flyball.gateway.runtimes import pipe

T = TypeVar("T")

BROKEN = (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError)
"""What is raised where a process is late, gone or says what cannot be read."""
AT_ONCE_BYTES = PIPE_BUF - pipe.HEAD_BYTES
"""Of a request: an empty pipe takes so much whole, however few pages the kernel still lends this user."""


class Call(NamedTuple, Generic[T]):
    """What is between the loop and the process."""

    pipes: tuple[int, int]
    """Its stdin and stdout."""
    limit: int
    """Bytes of an answer."""
    heard: Callable[[bytes], T]
    """What an answer says. Raises ModelFailed where the model raised, and BROKEN where it is nonsense."""
    lost: Callable[[Exception], ModelFailed]
    """End the process for that; it may take a moment."""
    free: Callable[[], None]
    """The process may be asked again."""


class Watched(Generic[T]):
    """Of the running event loop. `answer` is told in any case; nobody needs to wait for it."""

    def __init__(self, call: Call[T], request: bytes, deadline_seconds: float) -> None:
        """Asks. What breaks is told by `answer`, too."""
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._message = pipe.Message(call.limit)
        self._open = True
        self._timer = self._loop.call_later(deadline_seconds, self._late)
        self.answer: asyncio.Future[T] = self._loop.create_future()
        self.answer.add_done_callback(_seen)
        self._loop.add_reader(call.pipes[1], self._read)
        try:
            pipe.send(call.pipes[0], request, monotonic())
        except OSError as broken:
            self._break(broken)

    def _read(self) -> None:
        try:
            part = os.read(self._call.pipes[1], self._message.wanted)
            if not part:
                raise ConnectionError("the other side closed the pipe")
            said = self._message.add(part)
            if said is None:
                return
            heard = self._call.heard(said)
        except BlockingIOError:
            return
        except BROKEN as broken:
            self._break(broken)
        except Exception as failed:  # noqa: BLE001 - the model raised, or we erred: the process has answered, and who waits must be told
            self._free()
            self._tell(failed)
        else:
            self._free()
            if not self.answer.done():
                self.answer.set_result(heard)

    def _free(self) -> None:
        self._leave()
        self._call.free()

    def _late(self) -> None:
        self._read()  # a loop that was held up sees the timer before the answer that came meanwhile
        if self._open:
            self._break(TimeoutError("no answer within the deadline"))

    def _leave(self) -> None:
        self._open = False
        self._timer.cancel()
        self._loop.remove_reader(self._call.pipes[1])

    def _break(self, broken: Exception) -> None:
        self._leave()  # before its descriptors are closed, and are somebody else's
        # A killed process gives back its memory before it is gone: the loop waits for nobody.
        try:
            threading.Thread(target=self._end, args=(broken,), name="end-worker", daemon=True).start()
        except RuntimeError:  # this user may have no more threads: all wait for one end rather than some for ever
            self._end(broken)

    def _end(self, broken: Exception) -> None:
        try:
            failed: Exception = self._call.lost(broken)
        except Exception as unforeseen:  # noqa: BLE001 - whoever waits must be told
            failed = unforeseen
        self._call.free()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._tell, failed)

    def _tell(self, failed: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(failed)


def _seen(answer: "asyncio.Future[T]") -> None:
    """Nobody may be waiting any more: asyncio would log that."""
    if not answer.cancelled():
        answer.exception()
