"""Starting a supervisor that outlives the terminal."""

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from flyball.adapters.durable import PRIVATE_UMASK
from flyball.adapters.room import lack_of_room
from flyball.adapters.supervisor import run_file
from flyball.adapters.supervisor.asking import live
from flyball.adapters.supervisor.child import last_words
from flyball.adapters.supervisor.run_file import RunFile
from flyball.errors import Conflict, FlyballError, OperatorError, StoreUnavailable, UpstreamError, UserError

LIVE_SECONDS = 30.0
"""Importing a gateway takes one or two seconds on an idle machine; a busy one takes several times that."""
LOG_CHARACTERS = 1500
MARK = "✗ "
"""How a terminal begins the sentence of a failure; the detached supervisor's terminal is its log."""


def start_detached(command: Sequence[str], state_dir: Path, directory: Path) -> RunFile:
    """Start `command` (which must run `supervise`) in a session of its own and wait until its gateway lives.

    Raises Conflict when the project is up already, OperatorError with the end of the log when it does not come up.
    """
    found = run_file.running(state_dir)
    if found is not None:
        raise Conflict(
            f"this project is up already (process {found.pid}, {found.gateway_url})", next_step="`flyball down` ends it"
        )
    log = state_dir / "logs" / "supervisor.log"
    with _opened(log) as file:
        said_before = file.tell()
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )
    return _wait_for(process, state_dir, log, said_before)


def _opened(log: Path) -> BinaryIO:
    """Raises StoreUnavailable."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise StoreUnavailable(f"{log}: {error.strerror}", next_step="let this account write there, or mend the disk") from error


def _wait_for(process: subprocess.Popen[bytes], state_dir: Path, log: Path, said_before: int) -> RunFile:
    pause, deadline = threading.Event(), time.monotonic() + LIVE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failure(process.returncode, log, said_before)
        found = run_file.running(state_dir)
        if found is not None and live(found.gateway_url):
            process.returncode = 0  # it is on its own from here: not ours to wait for
            return found
        pause.wait(0.05)
    process.terminate()
    process.wait()
    gateway = last_words(state_dir / "logs" / "gateway-0.log")
    raise OperatorError(f"no gateway lives after {LIVE_SECONDS:g} s:\n{gateway}", next_step=f"look into {log.parent}")


def _silent(exit_code: int, said: str, log: Path) -> OperatorError:
    """Of one that ended without a sentence. A full disk takes the words, too: an empty log is no place to look into."""
    if full := lack_of_room(log.parent):
        last = f":\n{said}" if said else ""
        return OperatorError(f"it did not come up (exit code {exit_code}), and {full}{last}", next_step="free space")
    if said:
        return OperatorError(f"it did not come up:\n{said}", next_step=f"look into {log}")
    ended = f"it was killed by signal {-exit_code}" if exit_code < 0 else f"it ended with exit code {exit_code}"
    return OperatorError(
        f"it did not come up: {ended} and said nothing", next_step="run `flyball up` without --detach: it says more here"
    )


def _failure(exit_code: int, log: Path, said_before: int) -> FlyballError:
    """What the supervisor itself said, as if it had been said here; of a supervisor that fell silent, the end of its log."""
    said = log.read_bytes()[said_before:].decode(errors="replace")
    sentence = next((line.removeprefix(MARK) for line in reversed(said.splitlines()) if line.startswith(MARK)), "")
    if not sentence:
        return _silent(exit_code, said[-LOG_CHARACTERS:].strip(), log)
    found, _, next_step = sentence.partition(". Next: ")
    kinds = (UserError, OperatorError, UpstreamError)
    return next((kind for kind in kinds if kind.exit_code == exit_code), OperatorError)(found, next_step=next_step)
