"""What is unusual, in a sentence."""

from datetime import datetime, timedelta
from typing import Protocol

from flyball.monitoring.window import Window

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WHAT = {
    "requests": "rows asked for", "failures": "of rows could not be answered", "latency_median": "median latency", "latency_p99": "99th percentile of latency",
    "missing": "of values are missing", "labels": "labels received", "label_delay": "median delay of labels",
}  # fmt: skip


class Range(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def lower(self) -> float | None: ...
    @property
    def upper(self) -> float | None: ...


def told(name: str, usual: Range, window: Window) -> str:
    """Such as `412 rows asked for, at this hour of a Tuesday usually 2,900 to 3,600`."""
    kind = (
        _duration if name.startswith("latency") or name == "label_delay" else _count if name in ("requests", "labels") else _share
    )
    seen = f"{WHAT[name]} {kind(usual.value)}" if kind is _duration else f"{kind(usual.value)} {WHAT[name]}"
    if usual.lower is None or usual.upper is None:
        return seen
    return f"{seen}, {_when(window)} usually {kind(usual.lower)} to {kind(usual.upper)}"


def moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _when(window: Window) -> str:
    width, day = window.end - window.start, DAYS[window.start.weekday()]
    if width < timedelta(days=1):
        return f"at this hour of a {day}"
    return f"on a {day}" if width < timedelta(days=7) else "in such a time"


def _count(value: float) -> str:
    return f"{float(f'{value:.3g}') if value >= 1000 and value != int(value) else value:,.0f}"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _duration(value: float) -> str:
    for unit, us in (("days", 86_400e6), ("h", 3_600e6), ("min", 60e6), ("s", 1e6), ("ms", 1e3)):
        if value >= us:
            return f"{value / us:.3g} {unit}"
    return f"{value:.0f} µs"
