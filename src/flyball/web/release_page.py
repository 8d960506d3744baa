"""The picture of a guard: its interval, look by look, beside the margin and beside nought, where champion and challenger are alike."""

from datetime import datetime
from typing import NamedTuple

from flyball.control.reports import GuardPoint, GuardRow

LEFT, RIGHT, HEIGHT = 124.0, 746.0, 140.0
_APART = 13.0
"""Between two labels at the picture's side."""
_AROUND = 1.15
"""Of the way from the margin to nought: so far the picture reaches at least, since what lies below the margin alone may be better or worse."""


class Look(NamedTuple):
    """In the picture's units; larger is lower."""

    x: float
    low: float
    at: float
    high: float
    when: datetime
    words: str


class Mark(NamedTuple):
    """A label at the side."""

    y: float
    words: str


class Picture(NamedTuple):
    looks: tuple[Look, ...]
    margin: float
    zero: float
    marks: tuple[Mark, ...]
    first: str
    last: str


def picture(guard: GuardRow) -> Picture | None:
    """None: no look had an interval yet. Upwards is worse; what is far wider than the last intervals is cut at the picture's edge."""
    seen = [point for point in guard.points if point.value is not None and point.lower is not None and point.upper is not None]
    if not seen:
        return None
    reach = 1.25 * max(max(abs(_end(point.lower) - guard.margin), abs(_end(point.upper) - guard.margin)) for point in seen[-3:])
    reach = max(reach, _AROUND * abs(guard.margin)) or 1.0

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
        looks,
        HEIGHT / 2.0,
        height(0.0),
        _marks(guard.margin, reach, height(0.0)),
        f"{seen[0].n} at {seen[0].at:%Y-%m-%d %H:%M}",
        f"{seen[-1].n} at {seen[-1].at:%Y-%m-%d %H:%M}",
    )


def _marks(margin: float, reach: float, zero: float) -> tuple[Mark, ...]:
    """What lies above nought is worse, below it better, and the margin is how much worse is allowed. Two labels on one another say nothing: margin and nought
    then share one, and of others the first stays."""
    middle = HEIGHT / 2.0
    wanted = [Mark(middle, f"margin {margin:.3g}"), Mark(zero, "0, alike")]
    if margin and abs(zero - middle) < _APART:
        wanted = [Mark(round((middle + zero) / 2.0, 1), f"margin {margin:.3g}, 0")]
    wanted += [Mark(0.0, f"{margin + reach:+.3g}, worse"), Mark(HEIGHT, f"{margin - reach:+.3g}, better")]
    kept: list[Mark] = []
    for mark in wanted:
        if all(abs(mark.y - other.y) >= _APART for other in kept):
            kept.append(mark)
    return tuple(kept)


def _end(value: float | None) -> float:
    return 0.0 if value is None else value


def _words(point: GuardPoint) -> str:
    return f"{_end(point.value):+.4g} [{_end(point.lower):+.4g}, {_end(point.upper):+.4g}] over {point.n}"
