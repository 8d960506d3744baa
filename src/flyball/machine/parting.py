"""The end of a process with whoever started it, and with all that foreign code in it has forked."""

import os
import signal
import sys
import threading
from typing import NoReturn


def end_with_parent(look_seconds: float = 1.0) -> None:
    """From now on: code that hangs reads no pipe and would outlive a parent that was killed. (PR_SET_PDEATHSIG would follow the thread that started us.)"""
    parent, never = os.getppid(), threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            never.wait(look_seconds)
        leave()

    threading.Thread(target=watch, name="watch-the-parent", daemon=True).start()


def leave() -> NoReturn:
    """As `kill -9` would: nobody is left to end what was forked."""
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():  # the leader of a group of its own, as it was started; else the group is somebody else's
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
