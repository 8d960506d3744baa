"""What makes a token count: the control process and the gateways take the same ones."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

LEAST_CHARACTERS = 16
"""64 bits where they are hexadecimal digits: what is shorter can be guessed, or was written there by mistake."""
MODE_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class TokenFound(NamedTuple):
    """What a file holds."""

    token: str
    wrong: str = ""
    """What keeps it from counting, in words that quote nothing of it; empty: nothing."""
    exposed: bool = False
    """Others than the account may read it."""


def read_token(path: Path) -> TokenFound:
    """Raises OSError."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & MODE_OTHERS:
            return TokenFound("", f"can be read by others (mode {mode:04o})", exposed=True)
        held = file.read()
    try:
        token = held.decode().strip()
    except UnicodeDecodeError:
        return TokenFound("", "is no text")
    wrong = _wrong_with(token)
    return TokenFound("" if wrong else token, wrong)


def _wrong_with(token: str) -> str:
    """What no header can hold, libraries quote in their errors, which others read."""
    if not token:
        return "is empty"
    if not (token.isascii() and token.isprintable()):
        return "is not one line of printable ASCII characters"
    return "" if len(token) >= LEAST_CHARACTERS else f"is shorter than {LEAST_CHARACTERS} characters"
