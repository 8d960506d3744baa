"""Replays in processes of their own, so many at a time; each tells its progress in lines of JSON."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from flyball.adapters.durable import PRIVATE_UMASK, replace_file
from flyball.errors import StoreUnavailable
from flyball.records import codec

COMMAND = (sys.executable, "-P", "-m", "flyball", "replay-child")
PLAIN_SECONDS = 5.0
"""Of each replay, a line a day is told this often at most: several at once would tell a screen a second."""
PARENT_SECONDS = 0.2
"""Between a child's looks for the one that started it: nobody would read on, and the next one wants its directory."""
ORDER = "order.json"
AGAIN = "replay that policy again (`flyball replay --policy …`): its order is written anew"


class Line(msgspec.Struct, frozen=True):
    style: str
    words: str


class Ended(NamedTuple):
    exit_code: int
    words: str
    """The last thing that went wrong; empty: nothing did."""


Say = Callable[[str, str], None]


def run_children(directories: Mapping[str, Path], jobs: int, say: Say, command: Sequence[str] = COMMAND) -> dict[str, Ended]:
    """A child for each name, `jobs` at a time; its directory is its last argument. One that fails keeps no other from its end; an interruption ends them all."""
    width = max(map(len, directories))
    children, pool = _Children(), ThreadPoolExecutor(jobs)
    futures = {
        name: pool.submit(_run, children, (*command, str(directory)), _named(say, name.ljust(width)))
        for name, directory in directories.items()
    }
    try:
        return {name: future.result() for name, future in futures.items()}
    finally:
        # Interrupted: Python ends no sooner than the pool's threads, and they no sooner than their children, which are killed as when their parent is;
        # each can go on from there. Otherwise there are none left.
        pool.shutdown(wait=False, cancel_futures=True)
        children.kill()
        pool.shutdown()


class _Children:
    """Those that run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def start(self, command: Sequence[str]) -> "subprocess.Popen[bytes] | None":
        """None: no more are started."""
        with self._lock:
            if self._over:
                return None
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, umask=PRIVATE_UMASK)
            self._running.add(process)
            return process

    def ended(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            self._running.discard(process)

    def kill(self) -> None:
        with self._lock:
            self._over = True
            for process in self._running:
                process.kill()


def _run(children: _Children, command: Sequence[str], say: Say) -> Ended:
    process = children.start(command)
    if process is None:
        return Ended(-signal.SIGKILL, "interrupted before it began")
    wrong = ""
    with process:
        for data in process.stdout or ():
            try:
                line = codec.decode(data, Line)
            except ValueError:
                continue  # of the project's own code
            say(line.style, line.words)
            if line.style == "bad":
                wrong = line.words
    children.ended(process)
    return Ended(process.returncode, wrong)


def _named(say: Say, name: str) -> Say:
    """Findings are left out: each replay's own report has them."""
    told = -PLAIN_SECONDS

    def named(style: str, words: str) -> None:
        nonlocal told
        if style == "finding":
            return
        if style == "plain":
            if time.monotonic() - told < PLAIN_SECONDS:
                return
            told = time.monotonic()
        say(style, f"{name}  {words}")

    return named


def write_order(directory: Path, order: Mapping[str, object]) -> None:
    replace_file(directory / ORDER, codec.encode(order))


def read_order(directory: Path) -> dict[str, object]:
    """Raises StoreUnavailable."""
    try:
        return codec.decode((directory / ORDER).read_bytes(), dict[str, object])
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"{directory / ORDER} cannot be read: {error}", next_step=AGAIN) from error


def say_as_json(style: str, words: str) -> None:
    """In a child: one line for whoever started it."""
    sys.stdout.write(codec.encode(Line(style, words)).decode() + "\n")
    sys.stdout.flush()
