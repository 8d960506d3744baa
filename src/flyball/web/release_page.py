"""The picture of a guard: its interval, look by look, beside the margin."""

from datetime import datetime
from typing import NamedTuple

from flyball.control.reports import GuardPoint, GuardRow

LEFT, RIGHT, HEIGHT = 64.0, 746.0, 140.0


class Look(NamedTuple):
    """In the picture's units; larger is lower."""

    x: float
    low: float
    at: float
    high: float
    when: datetime
    words: str


class Picture(NamedTuple):
    looks: tuple[Look, ...]
    margin: float
    first: str
    last: str


def picture(guard: GuardRow) -> Picture | None:
    """None: no look had an interval yet. Upwards is worse; what is far wider than the last intervals is cut at the picture's edge."""
    seen = [point for point in guard.points if point.value is not None and point.lower is not None and point.upper is not None]
    if not seen:
        return None
    reach = 1.25 * max(max(abs(_end(point.lower) - guard.margin), abs(_end(point.upper) - guard.margin)) for point in seen[-3:])
    reach = reach or 1.0

    def height(value: float | None) -> float:
        share = (_end(value) - guard.margin) / reach
        return round(HEIGHT / 2.0 * (1.0 - min(max(share, -1.0), 1.0)), 1)

    wide = RIGHT - LEFT
    looks = tuple(
        Look(
            round(LEFT + wide * (place / (len(seen) - 1) if len(seen) > 1 else 0.5), 1), height(point.lower), height(point.value),
            height(point.upper), point.at, _words(point),
        )
        for place, point in enumerate(seen)
    )  # fmt: skip
    return Picture(
        looks, HEIGHT / 2.0, f"{seen[0].n} at {seen[0].at:%Y-%m-%d %H:%M}", f"{seen[-1].n} at {seen[-1].at:%Y-%m-%d %H:%M}"
    )


def _end(value: float | None) -> float:
    return 0.0 if value is None else value


def _words(point: GuardPoint) -> str:
    return f"{_end(point.value):+.4g} [{_end(point.lower):+.4g}, {_end(point.upper):+.4g}] over {point.n}"
