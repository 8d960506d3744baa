"""What is asked of a replay."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class Wanted(NamedTuple):
    since: datetime | None = None
    """None: as `replay:` in flyball.yaml says; so is `until`."""
    until: datetime | None = None
    output: Path | None = None
    """Where reports go; None: the project's directory."""
    fresh: bool = False
    """Begin anew, whatever was interrupted."""
