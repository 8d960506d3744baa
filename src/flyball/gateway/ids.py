"""Prediction ids for rows that bring none."""

from collections.abc import Callable

ID_BYTES = 12
"""96 random bits: neither collides within a deployment's life, nor can one client guess another's id and label it."""

_POOL_IDS = 256
"""Ids drawn at once: the random source is a system call."""


class FreshIds:
    """Hands out random ids of 24 hex digits from `source`, which returns that many random bytes."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._pool: list[str] = []

    def take(self, n: int) -> list[str]:
        while len(self._pool) < n:
            self._pool += self._source(ID_BYTES * max(_POOL_IDS, n)).hex(" ", ID_BYTES).split()
        taken = self._pool[-n:]
        del self._pool[-n:]
        return taken
