"""One gateway worker for a replay: its clock is what the requests say."""

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from flyball.adapters.supervisor.asking import live
from flyball.adapters.supervisor.child import Child, Recipe, gateway_command, last_words
from flyball.adapters.supervisor.detached import LIVE_SECONDS
from flyball.adapters.supervisor.listening import listen, url_of
from flyball.errors import OperatorError

DRAIN_SECONDS = 10.0


class GatewayProcess:
    """`with GatewayProcess(DIR) as gateway:` starts it on a free port and waits until it lives; the end asks it to end.

    The socket stays ours, so `url` stays the same through `kill()` and `restart()`, and connections wait meanwhile.
    """

    def __init__(
        self, state_dir: Path, *, host: str = "127.0.0.1", port: int = 0, arguments: tuple[str, ...] = ("--clock", "request")
    ) -> None:
        self._bound = listen(host, port)
        self.url = url_of(self._bound)
        self._log = state_dir / "logs" / "gateway-0.log"
        self._card = state_dir / "gateways" / "0.json"
        descriptor = self._bound.fileno()
        command = gateway_command(sys.executable, state_dir, "0", descriptor, arguments)
        self._child = Child(Recipe("gateway-0", command, self._log, (descriptor,)))

    @property
    def pid(self) -> int | None:
        """None: it does not run."""
        return self._child.pid

    def start(self) -> None:
        """Raises OperatorError with the end of its log when it does not live within 30 s."""
        self._child.start(time.monotonic())
        pause, deadline = threading.Event(), time.monotonic() + LIVE_SECONDS
        while not (live(self.url) and self._announced()):
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise OperatorError(f"the gateway did not come up:\n{last_words(self._log)}", next_step=f"look into {self._log}")
            pause.wait(0.02)

    def kill(self) -> None:
        """As `kill -9`."""
        self._child.kill()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Ask it to end; kill it when it has not within 10 s."""
        self._child.ask_to_end()
        pause, deadline = threading.Event(), time.monotonic() + DRAIN_SECONDS
        while self.pid is not None and time.monotonic() < deadline:
            pause.wait(0.02)
        self.kill()
        self._card.unlink(missing_ok=True)

    def _announced(self) -> bool:
        """Whether control can find it: until then it would take the data plane for absent."""
        try:
            return bool(json.loads(self._card.read_bytes())["pid"] == self.pid)
        except (OSError, ValueError):
            return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except OperatorError:
            self._bound.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._bound.close()


def end_leftover(state_dir: Path) -> None:
    """End the worker of a replay that was killed a moment ago, if it still ends by itself: what it was asked is asked again. Raises OperatorError."""
    card = state_dir / "gateways" / "0.json"
    try:
        process = psutil.Process(json.loads(card.read_bytes())["pid"])
        if str(state_dir) in process.cmdline():
            process.kill()
            process.wait(DRAIN_SECONDS)
    except (OSError, ValueError, psutil.NoSuchProcess):
        pass
    except psutil.Error as error:
        raise OperatorError(f"the gateway of the replay before does not end: {error}", next_step="end it by hand") from error
    card.unlink(missing_ok=True)
