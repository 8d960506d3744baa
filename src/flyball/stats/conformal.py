"""Conformal p-values: where a new score stands among earlier ones."""

import hashlib

import numpy as np
from numpy.typing import ArrayLike


def conformal_p(past: ArrayLike, score: float, uniform: float) -> float:
    """Smoothed conformal p-value (Vovk, Gammerman & Shafer 2005, eq. 2.20): (#{past > score} + u · (#{past = score} + 1)) / (n + 1).

    Exactly uniform on [0, 1], and independent of the earlier ones of the same stream when `past` is all that came before, if the scores are
    exchangeable. A high score is extreme. `uniform` in [0, 1) breaks ties; it must not depend on the scores.

    >>> conformal_p([1.0, 2.0, 3.0], 2.5, 0.5)
    0.375
    """
    earlier = np.asarray(past, dtype=np.float64)
    greater = int(np.count_nonzero(earlier > score))
    ties = int(np.count_nonzero(earlier == score))
    return (greater + uniform * (ties + 1)) / (earlier.size + 1)


def digest_uniform(*names: str) -> float:
    """A number in (0, 1) that names determine: the randomness of a tie, the same at every replay."""
    body = "\0".join(names).encode("utf-8", "surrogatepass")
    drawn = int.from_bytes(hashlib.blake2b(body, digest_size=8, person=b"flyball-tie").digest(), "big")
    return (drawn + 0.5) / 2.0**64
