"""Keeps what gateways serve equal to the routing file while they run."""

import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flyball.adapters.background import Background
from flyball.adapters.saying import unfailing
from flyball.adapters.signal_names import name_of
from flyball.adapters.standalone.watched_file import WatchedFile

if TYPE_CHECKING:
    from flyball.control.ports import Say

LOOK_SECONDS = 0.5


class Follower(Background):
    """`with Follower(…):` runs `command` whenever the file has changed: it publishes the routes, says so, and ends.

    A process of its own, since a file is changed now and then: what reads YAML and checks packages takes some 50 MB, and this process only waits.
    """

    def __init__(self, file: WatchedFile, command: Sequence[str], say: "Say") -> None:
        super().__init__("routing-file")
        self._file = file
        self._command = command
        self._say = unfailing(say)

    def _run(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            if self._file.changed() and self._file.settled():
                self._file.see()
                try:
                    self._take()
                except OSError as refused:  # no memory, no descriptor: the next change is another try
                    self._not_taken(str(refused))

    def _take(self) -> None:
        # A session of its own: a Ctrl-C is for us, who end it.
        with subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True) as taking:
            while True:
                try:
                    code = taking.wait(LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if self._end.is_set():
                        taking.kill()
        if code and not self._end.is_set():
            self._not_taken(f"the process that reads them ended with {name_of(-code) if code < 0 else code}")

    def _not_taken(self, why: str) -> None:
        self._say("bad", f"The routes were not taken: {why}. Those before go on being served.")
