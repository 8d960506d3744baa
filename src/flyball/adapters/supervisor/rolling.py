"""A rolling restart: each gateway worker is succeeded by a fresh one that is ready before it is asked to end."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.supervisor.asking import model_ready
from flyball.adapters.supervisor.child import Child, last_words
from flyball.errors import FlyballError, OperatorError
from flyball.records import codec

READY_SECONDS = 60.0
"""Loading a large model on a cold disk takes tens of seconds; until then the worker before serves on."""
LEAVE_SECONDS = 30.0
"""As long as a gateway that is told to end may take for what it has accepted."""
_LOOK_SECONDS = 0.02


class Successor:
    """One succession. Both processes bear the same worker's name: control and capture tell them apart by process and start."""

    def __init__(self, old: Child, state_dir: Path) -> None:
        self.old = old
        self.new = Child(old.recipe._replace(command=(*old.recipe.command, "--must-serve")))
        self._card = state_dir / "gateways" / f"{old.recipe.name.removeprefix('gateway-')}.json"
        self._before: dict[str, int] = {}
        """The old one's card."""
        self._after: dict[str, int] = {}
        """The new one's, as it was when it stood."""
        self._must_be_ready = True
        """As the old one was."""

    def begin(self) -> None:
        """Start the new one. Raises OperatorError when it cannot be started."""
        self._before = self._read_card()
        self._must_be_ready = _ready(self._before)
        if not self._must_be_ready:
            self.new.recipe = self.old.recipe
        self.new.start(time.monotonic())

    def take_over(self, meanwhile: Callable[[], bool]) -> None:
        """Wait until the new one is ready, let the old one go. `meanwhile` is called while we wait; it says whether to give up.

        Raises OperatorError when the new one does not become ready: then it is gone, and the old one serves as before.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self._stands():
            given_up = meanwhile()
            if given_up or self.new.pid is None or time.monotonic() > deadline:
                self._withdraw()
                why = (
                    "it was told to end"
                    if given_up
                    else (last_words(self.new.recipe.log).splitlines() or ["it said nothing"])[-1]
                )
                raise OperatorError(f"a new {self.new.recipe.name} did not become ready: {why}")
            threading.Event().wait(_LOOK_SECONDS)
        self.new.recipe = self.old.recipe  # if it dies one day, its restart has nobody before it
        if self.old.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.old.pid, signal.SIGUSR1)

    def left(self, meanwhile: Callable[[], bool]) -> bool:
        """Wait until the old one has answered what it had accepted; kill it when it takes too long. False: `meanwhile` gave up, and the old one
        may still be answering."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while self.old.pid is not None and time.monotonic() < deadline:
            if meanwhile():
                return False
            threading.Event().wait(_LOOK_SECONDS)
        self.old.kill()
        self._put_back(self._after, self.new)
        return True

    def _stands(self) -> bool:
        self._after = card = self._read_card()
        if card.get("pid") != self.new.pid:
            return False
        return not self._must_be_ready or _ready(card)

    def _withdraw(self) -> None:
        self.new.kill()
        self._put_back(self._before, self.old)

    def _put_back(self, card: dict[str, int], child: Child) -> None:
        """Who stays must be found: one that was still starting when its successor stood has put its own card over the other's, and took it along."""
        if card and child.pid == card.get("pid") and self._read_card() != card:
            with suppress(FlyballError):
                replace_file(self._card, codec.encode(card))

    def _read_card(self) -> dict[str, int]:
        try:
            return codec.decode(self._card.read_bytes(), dict[str, int])
        except (OSError, ValueError):
            return {}


def _ready(card: dict[str, int]) -> bool:
    """Whether that worker serves a routing table."""
    return "admin_port" in card and model_ready(f"http://127.0.0.1:{card['admin_port']}")
