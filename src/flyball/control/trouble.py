"""What keeps ticks from being whole, as who looks at the project is told of it."""

from datetime import datetime

import msgspec


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """While it does."""

    words: str
    since: datetime
