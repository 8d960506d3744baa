"""What of a request may lie on a disk. A frozen record of the route, so that every gateway is seen to keep to it."""

from typing import Literal

import msgspec

Keys = Literal["keep", "hash", "drop"]


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """Columns that capture does not keep as they were used; one that stands in none of them is kept."""

    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    """Kept as HMAC-SHA-256 under a key that never leaves the state directory: equal values stay equal, and cannot be guessed from it."""
    sample: dict[str, float] = {}
    """Column → share of predictions whose value is kept, in (0, 1)."""
    keys: Keys = "keep"
    """What becomes of the keys that requests bring (canaries are sticky by the key itself, before this)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column with a rule."""
        return (*self.drop, *self.hash, *self.sample)

    @property
    def unmonitored(self) -> dict[str, str]:
        """Column → what is done with its values, of those whose values nobody can compare any more."""
        return dict.fromkeys(self.drop, "dropped") | dict.fromkeys(self.hash, "hashed")
