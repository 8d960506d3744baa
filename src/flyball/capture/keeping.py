"""What a route's rules leave of a record before it is framed: dropped, hashed, sampled. Pure; the key is an argument."""

import hashlib
import hmac
from typing import Any

import msgspec

from flyball.records.captured import FailureBatch, PredictionBatch, Sample
from flyball.records.keeping import Keeping

KEY_BYTES = 32
_HASH_BYTES = 12
"""96 bits: among a billion different values the odds that two fall together are one in 10^11."""


class Keeper:
    """The rules of one route, compiled."""

    def __init__(self, rules: Keeping, key: bytes) -> None:
        self._rules = rules
        self._key = key
        self._kept_apart = frozenset(rules.columns)
        self._hides = bool(rules.columns) or rules.keys != "keep"

    def prediction(self, batch: PredictionBatch) -> PredictionBatch:
        """What is kept of a batch."""
        columns, rules = batch.columns, self._rules
        return msgspec.structs.replace(
            batch,
            keys=self._keys(batch.keys),
            columns={name: values for name, values in columns.items() if name not in self._kept_apart},
            hashed={name: [self._hash(name, value) for value in columns[name]] for name in rules.hash if name in columns},
            sampled={name: _sampled(batch.ids, columns[name], share) for name, share in rules.sample.items() if name in columns},
        )

    def failure(self, batch: FailureBatch) -> FailureBatch:
        """The words of foreign code may quote the row that it failed on: where anything is hidden, only its kind is kept."""
        return msgspec.structs.replace(batch, reason=batch.reason.partition(":")[0]) if self._hides else batch

    def _keys(self, keys: list[str]) -> list[str]:
        if self._rules.keys == "keep":
            return keys
        if self._rules.keys == "drop":
            return [""] * len(keys)
        return [str(self._hash("", key)) for key in keys]

    def _hash(self, column: str, value: Any) -> str | None:
        """Of the value as it was used. The column is hashed with it: equal values of two columns do not give each other away."""
        if value is None or value == "":
            return None
        text = f"{column}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256")[:_HASH_BYTES].hex()


def _sampled(ids: list[str], values: list[Any], share: float) -> Sample:
    """By id alone: the same prediction is in whichever worker answers, and one that is in at 10 % is in at 50 %."""
    bound = int(share * 2.0**64)
    rows = [at for at, each in enumerate(ids) if _place(each) < bound]
    return Sample(rows, [values[at] for at in rows])


def _place(prediction_id: str) -> int:
    """Uniform over 64 bits."""
    return int.from_bytes(hashlib.blake2b(prediction_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
