"""Keepers of routes, and the key that their hashes are made with."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from flyball.capture.keeping import KEY_BYTES, Keeper
from flyball.errors import OperatorError, StoreUnavailable
from flyball.records.keeping import Keeping


class Keepers:
    """One worker's. The key is read, or made, when the first route asks for a hash, and then remembered: all workers hash alike."""

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        self._path = path
        self._random_bytes = random_bytes
        self._key = b""

    def of(self, rules: Keeping | None) -> Keeper | None:
        """None: everything is kept. Raises StoreUnavailable or OperatorError when a key is needed and cannot be had: rather no new table than
        one whose rules are not kept to."""
        if rules is None:
            return None
        if (rules.hash or rules.keys == "hash") and not self._key:
            self._key = self._had()
        return Keeper(rules, self._key)

    def _had(self) -> bytes:
        try:
            self._make()
            with self._path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                key = file.read()
        except OSError as error:
            raise StoreUnavailable(
                f"the key of hashed columns, {self._path.name}: {error.strerror or error}", next_step="let this account read it"
            ) from error
        if mode & 0o077:
            raise OperatorError(
                f"{self._path} can be read by others (mode {mode:04o})", expected="0600", next_step=f"chmod 600 {self._path}"
            )
        if len(key) != KEY_BYTES:
            raise OperatorError(
                f"{self._path} holds {len(key)} bytes", expected=f"{KEY_BYTES}",
                next_step="bring it back from a backup; without it, delete it: new hashes then differ from the old ones",
            )  # fmt: skip
        return key

    def _make(self) -> None:
        """Whole or not at all, and once: the file is linked into place, so a second worker never sees half a key or makes another."""
        if self._path.exists():
            return
        draft = self._path.with_name(f".{self._path.name}.{self._random_bytes(8).hex()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, self._random_bytes(KEY_BYTES))
            os.fsync(descriptor)
            os.link(draft, self._path)
        except FileExistsError:
            return  # another worker came first: its key counts
        finally:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
