"""The raw tree of flyball.yaml as faults are looked for in it: whatever does not read as what it should be is as good as not there, and told elsewhere."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from flyball.spec.fields import parse_duration, parse_share
from flyball.spec.tree import Path

Raw = Mapping[str, Any]


class Cross(NamedTuple):
    """A fault before it has its line."""

    path: Path
    found: str
    expected: str
    hint: str = ""


def section_of(value: Any, *path: str) -> Raw:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def share_of(value: Any) -> float | None:
    try:
        share = parse_share(value)
    except ValueError:
        return None
    return share if isinstance(share, float) else None


def duration_of(value: Any) -> timedelta | None:
    try:
        duration: timedelta = parse_duration(value)
    except (ValueError, OverflowError):
        return None
    return duration
