"""Which process a number means: numbers are given out again, and clocks are set."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

BOOT_DIGITS = 12
"""Hexadecimal, of the name of a start of the machine: as a number they stand in a card."""


class Stat(NamedTuple):
    state: str
    """One letter of proc(5)."""
    ticks: int
    """From the machine's start to the process's, in the kernel's ticks, which no clock moves."""


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """When a process was started, as no clock moves it: a part of its card, in which supervisors of earlier releases read numbers alone."""

    ticks: int | None = None
    """None: this system does not tell, or an earlier release wrote it."""
    boot: int | None = None
    """The first BOOT_DIGITS of `boot_id`."""


@cache
def boot_id() -> str:
    """Another one after each start of the machine; empty: this system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def stat_of(pid: int) -> Stat | None:
    """None: there is no such process, or no /proc."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): the name in brackets may hold anything, brackets too; the state is the 3rd field, the start the 22nd.
    fields = told[told.rfind(b")") + 2 :].split()
    return Stat(fields[0].decode("ascii", "replace"), int(fields[19]))


def birth_of(pid: int) -> Birth:
    """Empty where nobody can tell, or no such process lives: a zombie does not."""
    boot, found = boot_id().replace("-", ""), stat_of(pid)
    if not boot or found is None or found.state in "ZXx":
        return Birth()
    return Birth(ticks=found.ticks, boot=int(boot[:BOOT_DIGITS], 16))


def runs(pid: int, birth: Birth) -> bool:
    """Whether a process of this account has that number and, as far as that is told, is the one that was born then."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return birth.ticks is None or birth_of(pid) == birth
