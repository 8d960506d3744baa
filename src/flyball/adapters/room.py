"""Whether the disk takes what must be written to it: files that lie there already may be written for hours after it took its last new byte."""

import shutil
from pathlib import Path

ROOM_BYTES = 1_000_000
"""With less the ledger's write-ahead log, a segment of the capture or a version's bytes find no room within moments."""


def lack_of_room(directory: Path, least_bytes: int = ROOM_BYTES) -> str:
    """In words; empty: there is room, or nobody can tell."""
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return ""
    return "" if free >= least_bytes else f"the disk of {directory} is full ({free:,} bytes free)"
