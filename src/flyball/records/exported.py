"""What a package says of itself where its project is not: which version it is, and what of requests to it may be captured."""

import msgspec

from flyball.records import codec
from flyball.records.keeping import Keeping

FILE = "exported.json"
"""Beside `manifest.json` and not in it: the manifest names the version's bytes, and rules of capture change without them."""


class Exported(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry that is unknown here may be a rule that nobody would keep to: it is refused."""

    version: int
    """Its number in the project's registry."""
    manifest_digest: str
    """Of the package that it was written for: it says nothing of another one."""
    keeping: Keeping
    """As the project declared it when the package was exported."""
    keep: str = ""
    """How long the project keeps what is captured, as it is written in flyball.yaml; empty: for ever."""
    digest: str = ""
    """Of all the others."""

    def sealed(self) -> "Exported":
        """The same with its digest."""
        return msgspec.structs.replace(self, digest=codec.digest(msgspec.structs.replace(self, digest="")))

    @property
    def is_whole(self) -> bool:
        """Whether it is as it was written."""
        return self == self.sealed()
