"""A story with many ends: what comes before is told once, and from there on each end by a child of the teller's process."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Hashable

LONGEST_SECONDS = 240
"""Of a child: one that hangs is ended by the kernel, also when nobody waits for it any more."""
_TELLER = -1
"""In place of a child's pipe: this process is the teller itself."""


class Forks:
    """`tell` a story that asks `branch` wherever another end begins; what the children said is in `told`.

    A child shares its files with the teller: it must leave alone what the teller has open (SQLite above all), and what it writes to the disk is there.
    """

    def __init__(self) -> None:
        self.told: dict[Hashable, str] = {}
        """End → what was wrong with it; empty: nothing."""
        self._pipe = _TELLER

    @property
    def is_child(self) -> bool:
        return self._pipe != _TELLER

    def branch(self, end: Hashable) -> bool:
        """True in a new child, which goes on to this end. False in the teller, after the child has ended; in a child, too: it has no children."""
        if self.is_child:
            return False
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        reads, writes = os.pipe()
        child = _fork()
        if child == 0:
            os.close(reads)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LONGEST_SECONDS)
            self._pipe = writes
            return True
        os.close(writes)
        self.told[end] = _heard(child, reads)
        return False

    def tell(self, story: Callable[[], str]) -> str:
        """What `story` answers: what was wrong. A child never comes back from here: what it answers, or what it raises, the teller is told."""
        gc.freeze()  # else each child's collector would write on, and so copy, every page that it shares with the teller
        try:
            words = story()
        except BaseException as fault:
            if not self.is_child:
                raise
            words = f"{type(fault).__name__}: {fault}"
        finally:
            if not self.is_child:
                gc.unfreeze()
        if not self.is_child:
            return words
        try:
            with os.fdopen(self._pipe, "wb") as pipe:
                pipe.write(b"." + words.encode())
        finally:
            os._exit(0)  # no finalizers: what was open before the fork is the teller's


def _fork() -> int:
    with warnings.catch_warnings():
        # Since Python 3.12 it warns wherever a library keeps threads. None of them holds anything that a child needs: it goes on with plain Python.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _heard(child: int, reads: int) -> str:
    try:
        with os.fdopen(reads, "rb") as pipe:
            said = pipe.read()
    except BaseException:  # a time-out, or a person
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code or not said:
        return f"its child ended with {code} and said {said[1:].decode(errors='replace') or 'nothing'}"
    return said[1:].decode()
