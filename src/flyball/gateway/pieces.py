"""What is written bit by bit and sent piece by piece: thousands of small writes in one turn of the loop kept everybody else waiting for 18 ms."""

PIECE_BYTES = 64 * 1024
"""Handed to the kernel in some tens of microseconds."""


class Pieces:
    """Bytes that grow at their end."""

    def __init__(self, between: bytes = b"") -> None:
        """`between`: what stands between two that are added."""
        self._between = between
        self._done: list[bytes] = []
        self._open = bytearray()
        self._begun = False

    def add(self, part: bytes) -> None:
        if self._between and self._begun:
            self._open += self._between
        self._open += part
        self._begun = True
        if len(self._open) >= PIECE_BYTES:
            self._done.append(bytes(self._open))
            self._open.clear()

    def taken(self) -> list[bytes]:
        """All that was added, in pieces of some size; nothing is added afterwards."""
        return [*self._done, bytes(self._open)] if self._open else self._done
