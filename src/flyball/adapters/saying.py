"""What is said by a process that serves must never end it: disks fill up, and who reads a pipe may leave."""

from contextlib import suppress
from typing import TYPE_CHECKING

from flyball.errors import StoreUnavailable

if TYPE_CHECKING:
    from flyball.control.ports import Say


UNSAID = (OSError, ValueError, SystemExit, StoreUnavailable)
"""When words cannot be written. ValueError: the stream was closed. SystemExit: rich's word for a pipe that nobody reads any more."""


def unfailing(say: "Say") -> "Say":
    """`say` for what goes on whatever becomes of its words: those that cannot be written are lost."""

    def said(style: str, words: str) -> None:
        with suppress(*UNSAID):
            say(style, words)

    return said
