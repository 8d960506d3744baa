"""The only source of randomness that is not a seed: tokens and ids that nobody may guess."""

import os
import secrets

TOKEN_BYTES = 32
"""256 bits: beyond guessing, whatever the rate."""


def fresh_token() -> str:
    """For a URL or a header: letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def fresh_id() -> str:
    """96 random bits as 24 hex digits: neither collides within a deployment's life, nor can be guessed."""
    return secrets.token_hex(12)


def random_bytes(count: int) -> bytes:
    return os.urandom(count)
