"""The small types that flyball.yaml is written in: durations, shares, entry points, names."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36_525)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*")


class Section(BaseModel):
    """A part of flyball.yaml: frozen, and a key that it does not know is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


def parse_duration(value: Any) -> Any:
    """`30m`, `12h`, `1.5d`, `2w` → timedelta. Plain numbers are refused: nobody knows their unit."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("a duration such as 30m, 12h, 1d or 2w")
    try:
        found = timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        found = timedelta.max
    if found > LONGEST:  # what lies so long before or after now has no date
        raise ValueError("a duration of at most a hundred years (36525d)")
    return found


def format_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    whole, rest = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    sign = "-" if value < timedelta() else ""
    if rest:
        # Never as 2.63e+06s, which nobody could read back.
        return f"{sign}{whole}.{rest:06d}".rstrip("0") + "s"
    for letter, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{sign}{whole // size}{letter}"
    return f"{sign}{whole}s"


def parse_share(value: Any) -> Any:
    """`10%` or 0.1 → 0.1."""
    if isinstance(value, str):
        text = value.strip()
        if not text.endswith("%"):
            raise ValueError("a share such as 10% or 0.1")
        try:
            return float(text[:-1]) / 100.0
        except ValueError:
            raise ValueError("a share such as 10% or 0.1") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def lasting(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("a duration longer than nothing")
    return value


def parse_pattern(value: str) -> str:
    """As `Path.glob` takes it, on every Python."""
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if not parts or any("**" in part and part != "**" for part in parts):
        raise ValueError("a pattern of files such as data/*.csv, or data/**/*.csv for those in folders below")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]
Span = Annotated[Duration, AfterValidator(lasting)]
"""Within which something is counted, learnt or allowed: one of no length would hold nothing, and bound nothing."""
Share = Annotated[float, BeforeValidator(parse_share), Field(ge=0.0, le=1.0)]
ErrorRate = Annotated[float, BeforeValidator(parse_share), Field(gt=0.0, lt=1.0)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""Lower case, digits, `-` and `_`: safe in paths, URLs and metric labels."""
Host = Annotated[str, StringConstraints(pattern=r"^[^\s\x00]+$")]
"""Where to listen. One that is empty would be every interface."""
Files = Annotated[str, AfterValidator(parse_pattern)]
EntryPoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`module:function`, relative to the project's directory."""
