"""Whether the disk takes what must be written to it: files that lie there already may be written for hours after it took its last new byte."""

import os
from pathlib import Path

ROOM_BYTES = 1_000_000
"""With less the ledger's write-ahead log, a segment of the capture or a version's bytes find no room within moments."""


def free_bytes(directory: Path) -> int | None:
    """As this account may fill them: root also those that are reserved for it. None: nobody can tell."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    if not found.f_blocks:  # a file system that counts none says 0 free, too
        return None
    return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)


def lack_of_room(directory: Path, least_bytes: int = ROOM_BYTES) -> str:
    """In words; empty: there is room, or nobody can tell. The number in them is another at every look: they are to be shown, not recorded."""
    free = free_bytes(directory)
    return "" if free is None or free >= least_bytes else f"the disk of {directory} is full ({free:,} bytes free)"
