"""Whether the routing file has changed: asked twice a second, by a process that reads nothing else of it."""

import os
from pathlib import Path

Stamp = tuple[int, int, int, int, int]
"""Of a file: when it was modified, which inode it is, how long; device and inode of the directory that it really lies in.

The directory, since packages are named relative to it: releases that share their files by hard links (`cp -al`, `rsync --link-dest`) differ in nothing else.
"""


class WatchedFile:
    """`seen`: its stamp when its routes were read last; None: it was not there."""

    def __init__(self, path: Path, seen: Stamp | None = None) -> None:
        # Links in it are followed at each look: `current/routing.yaml` is another file once `current` leads elsewhere.
        self.path = path.absolute()
        self.seen = seen
        self._looked: Stamp | None = None

    @property
    def real(self) -> Path:
        """The file to which links lead now."""
        return Path(os.path.realpath(self.path))  # Path.resolve raises for links that go round

    def see(self) -> None:
        """It is about to be read."""
        self.seen = self._stamp()

    def changed(self) -> bool:
        """Whether it is another file than when it was last seen."""
        return self._stamp() != self.seen

    def settled(self) -> bool:
        """Whether it is as it was at the last call of this: one that is being written in place may be read half, and half may be valid."""
        before, self._looked = self._looked, self._stamp()
        return before == self._looked

    def _stamp(self) -> Stamp | None:
        real = self.real  # once: file and directory must be of the same moment of a link
        try:
            stat, directory = real.stat(), real.parent.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size, directory.st_dev, directory.st_ino
