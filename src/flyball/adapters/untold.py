"""What the ledger does not take, for whoever asks meanwhile: a full disk must not be the one trouble that nobody is told of."""

from contextlib import suppress
from pathlib import Path

from flyball.adapters.durable import make_if_missing, write_over
from flyball.control.trouble import Trouble
from flyball.records import codec

SIZE_BYTES = 4096
"""Laid down while there is room, and written over: on a full disk no file grows, and this one need not. A page."""
MOST_CHARACTERS = 300
"""Of the words; where they are escaped each takes six bytes at most, twelve beyond the first plane."""


class UntoldFile:
    """`.flyball/trouble`: written by the control process alone, read by all."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "trouble"
        self._told: Trouble | None = None

    def lay_down(self) -> None:
        """With nothing in it, whatever an earlier process left. Where there is no room even for this, who looks at the disk is told all the same."""
        with suppress(OSError):
            make_if_missing(self._path)
            write_over(self._path, b" " * SIZE_BYTES)

    def tell(self, trouble: Trouble | None) -> None:
        """Once for as long as it lasts."""
        if trouble == self._told:
            return
        brief = None if trouble is None else Trouble(words=trouble.words[:MOST_CHARACTERS], since=trouble.since)
        text = b"" if brief is None else codec.encode(brief)
        with suppress(OSError):  # tried again at the next tick
            write_over(self._path, text[:SIZE_BYTES].ljust(SIZE_BYTES))
            self._told = trouble

    def read(self) -> Trouble | None:
        """None: the ledger takes all, or nobody can tell."""
        try:
            text = self._path.read_bytes().strip()
            return codec.decode(text, Trouble) if text else None
        except (OSError, ValueError):
            return None
