"""A fault that concerns several fields, or what no field's type says."""

from typing import NamedTuple

from flyball.spec.tree import Path


class Cross(NamedTuple):
    """A fault before it has its line."""

    path: Path
    found: str
    expected: str
    hint: str = ""
