"""What a package says of itself where its project is not: which version it is, and what of requests to it may be captured."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.records import codec
from flyball.records.keeping import Keeping

FILE = "exported.json"
"""Beside `manifest.json` and not in it: the manifest names the version's bytes, and rules of capture change without them."""


class Exported(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry that is unknown here, or in `keeping`, may be a rule that nobody would keep to: it is refused."""

    version: int
    """Its number in the project's registry."""
    manifest_digest: str
    """Of the package that it was written for: it says nothing of another one."""
    keeping: Keeping
    """As the project declared it when the package was exported."""
    keep: str = ""
    """How long the project keeps what is captured, as it is written in flyball.yaml; empty: for ever."""
    digest: str = ""
    """Of all the others, as they are written."""

    def sealed(self) -> "Exported":
        """The same with its digest."""
        return msgspec.structs.replace(self, digest=_seal(codec.plain(self)))


def read(data: bytes) -> Exported | None:
    """None: it is not as it was written. Raises MsgspecError for what cannot be read, also where an entry is unknown."""
    entries = codec.decode(data, dict[str, Any])
    # Before a record is made of them, which adds what a later release has a default for, and leaves out what it does not know.
    if entries.get("digest") != _seal(entries):
        return None
    said = codec.revive(entries, Exported)
    unknown = sorted(set(entries["keeping"]) - set(Keeping.__struct_fields__))
    if unknown:
        raise msgspec.ValidationError(f"an unknown entry {unknown[0]!r} of keeping")
    return said


def _seal(entries: Mapping[str, Any]) -> str:
    try:
        return codec.digest({name: value for name, value in entries.items() if name != "digest"})
    except (ValueError, OverflowError, RecursionError) as error:  # numbers that no release writes
        raise msgspec.ValidationError(str(error)) from error
