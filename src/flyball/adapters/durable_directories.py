"""Directories that are whole or not there: filled aside, synced, renamed into place. For single files see durable.py."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil


def make_directory_durably(target: Path, fill: Callable[[Path], None]) -> None:
    """Make `target` with what `fill` writes into the directory that it is given. Whoever is first wins: an existing `target` is left as it is.

    Leftovers of killed processes are removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    aside.mkdir()
    try:
        fill(aside)
        _sync_tree(aside)
        try:
            aside.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync_directory(target.parent)


def sync_written(root: Path, above: int) -> None:
    """Make durable what others have written below `root`, its name, and those of the directories `above` it, which may be new, too."""
    _sync_tree(root)
    for directory in root.parents[:above]:
        _sync_directory(directory)


def remove_directory_at_once(target: Path) -> None:
    """It is there whole or not at all; what a kill leaves aside is a leftover."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    target.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def remove_left_aside(root: Path) -> None:
    """What kills have left of directories below `root`. Only for who knows that nobody makes or removes one there."""
    for path in root.glob(".*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_tree(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_leftovers(target: Path) -> None:
    for path in target.parent.glob(f".{target.name}.*.tmp"):
        owner = path.name.rsplit(".", 2)[1]
        if not owner.isdigit() or int(owner) == os.getpid() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
