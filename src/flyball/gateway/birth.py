"""Which process a number means: numbers are given out again, and cards of killed workers stay."""

import os
from pathlib import Path

import msgspec


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """When a process was started, as no clock moves it: a part of its card, in which supervisors of earlier releases read numbers alone."""

    ticks: int | None = None
    """From the machine's start, in the kernel's ticks. None: this system does not tell, or an earlier release wrote it."""
    boot: int | None = None
    """Of which start of the machine they are told: the first twelve hexadecimal digits of what the kernel calls it."""


def birth_of(pid: int) -> Birth:
    """Empty where nobody can tell, or no such process lives."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")
        told = Path(f"/proc/{pid}/stat").read_bytes()
        # proc(5): the name in brackets may hold anything, brackets too; the state is the 3rd field, the start the 22nd.
        fields = told[told.rfind(b")") + 2 :].split()
        return Birth() if fields[0] in (b"Z", b"X") else Birth(ticks=int(fields[19]), boot=int(boot[:12], 16))
    except (OSError, ValueError, IndexError):
        return Birth()


def runs(pid: int, birth: Birth) -> bool:
    """Whether a process of this account has that number and, as far as that is told, is the one that was born then."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return birth.ticks is None or birth_of(pid) == birth
