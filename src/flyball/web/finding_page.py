"""The pictures of a finding: its figure window by window beside what it was held against, and how much each cause has of it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from flyball.control.finding_reports import FindingReport
from flyball.records.findings import Cause, Finding

LEFT, RIGHT, HEIGHT = 64.0, 746.0, 140.0
_APART = 13.0
"""Between two labels at the picture's side."""
BAR_LEFT, BAR_RIGHT, ROW_HEIGHT = 250.0, 640.0, 30
_LONGEST = 34
"""Letters of a cause's name in the picture; the table has all of them."""
_NARROWEST = 2.0
"""Of what is shaded, so that a moment is seen."""


class Mark(NamedTuple):
    """A label at the side of the picture."""

    y: float
    words: str


class Band(NamedTuple):
    """What the figure was held against, and from there up to what is tolerated: larger figures are higher, so `top` is the tolerated end."""

    mean: float
    top: float


class Change(NamedTuple):
    """When it began, as far as the picture reaches; no wider than a line where only about when is known."""

    x: float
    width: float


class Line(NamedTuple):
    points: str
    """SVG's own: `x,y x,y`."""
    here: tuple[float, float] | None
    """The window that the finding is of; None: it has no figure."""
    band: Band | None
    change: Change | None
    marks: tuple[Mark, ...]
    first: datetime
    last: datetime
    words: tuple[str, ...]
    """All of it, for those who do not see the picture."""


class CauseBar(NamedTuple):
    label: str
    y: int
    x: float
    width: float
    ends: tuple[float, float] | None
    words: str


class Bars(NamedTuple):
    rows: tuple[CauseBar, ...]
    zero: float


def line(report: FindingReport) -> Line | None:
    """None: fewer than two windows have the figure."""
    finding, seen = report.finding, [(point.end, point.value) for point in report.series if point.value is not None]
    if len(seen) < 2:
        return None
    norm, values = finding.norm, [value for _, value in seen]
    reach = (min(values), max(values))
    held = () if norm is None else (norm.mean, norm.tolerated)
    low, high = min(*values, *held), max(*values, *held)
    first, last = seen[0][0], seen[-1][0]
    start = first - _length(report)

    def height(value: float) -> float:
        return round(HEIGHT * (1.0 - (value - low) / ((high - low) or 1.0)), 1)

    def place(moment: datetime) -> float:
        share = (moment - first) / (last - first)
        return round(LEFT + (RIGHT - LEFT) * min(max(share, 0.0), 1.0), 1)

    band = None if norm is None else Band(height(norm.mean), height(norm.tolerated))
    return Line(
        points=" ".join(f"{place(end)},{height(value)}" for end, value in seen),
        here=next(((place(end), height(value)) for end, value in seen if end == finding.window_end), None),
        band=band,
        change=_change(finding, start, last, place),
        marks=_apart(Mark(height(value), f"{value:.4g}") for value in (*held, reach[1], reach[0])),
        first=first,
        last=last,
        words=(f"lowest {reach[0]:.4g}, highest {reach[1]:.4g}", *_held(finding), *_began(finding, start, last)),
    )


def _length(report: FindingReport) -> timedelta:
    """Of a window. A point stands at its window's end; some findings are of several windows, and some windows are not among the points."""
    ends = [point.end for point in report.series]
    return min(report.finding.window_end - report.finding.window_start, *(later - end for end, later in pairwise(ends)))


def _apart(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """Those that come first stay: two on one another say nothing."""
    kept: list[Mark] = []
    for mark in marks:
        if all(abs(mark.y - other.y) >= _APART for other in kept):
            kept.append(mark)
    return tuple(kept)


def _held(finding: Finding) -> tuple[str, ...]:
    norm = finding.norm
    if norm is None:
        return ()
    return (f"held against {norm.mean:.4g} {norm.where} (dashed), up to {norm.tolerated:.4g} tolerated (band)",)


def _began(finding: Finding, start: datetime, last: datetime) -> tuple[str, ...]:
    if finding.changed_between is not None:
        since, until = finding.changed_between
        words = f"it began between {_when(since)} and {_when(until)}"
    elif finding.changed_since is not None:
        since = until = finding.changed_since
        words = f"it began about {_when(since)}"
    else:
        return ()
    return (f"{words} (shaded)" if until >= start and since <= last else f"{words}, beyond what is shown",)


def _change(finding: Finding, start: datetime, last: datetime, place: Callable[[datetime], float]) -> Change | None:
    since, until = finding.changed_between or (finding.changed_since, finding.changed_since)
    if since is None or until is None or until < start or since > last:
        return None
    return Change(place(since), round(max(place(until) - place(since), _NARROWEST), 1))


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def bars(causes: Sequence[Cause]) -> Bars | None:
    """None: no cause has a share."""
    measured = [(cause, cause.share, cause.interval or (cause.share, cause.share)) for cause in causes if cause.share is not None]
    if not measured:
        return None
    low = min(0.0, *(min(share, ends[0]) for _, share, ends in measured))
    high = max(0.0, *(max(share, ends[1]) for _, share, ends in measured))

    def place(share: float) -> float:
        return round(BAR_LEFT + (BAR_RIGHT - BAR_LEFT) * (share - low) / ((high - low) or 1.0), 1)

    rows = tuple(
        CauseBar(
            label=cause.subject if len(cause.subject) <= _LONGEST else cause.subject[: _LONGEST - 1] + "…", y=number * ROW_HEIGHT,
            x=min(place(0.0), place(share)), width=round(abs(place(share) - place(0.0)), 1),
            ends=None if cause.interval is None else (place(cause.interval[0]), place(cause.interval[1])), words=share_of(cause),
        )
        for number, (cause, share, _) in enumerate(measured)
    )  # fmt: skip
    return Bars(rows, place(0.0))


def share_of(cause: Cause) -> str:
    """`54 % [38, 70]`; empty: it has none."""
    if cause.share is None:
        return ""
    ends = "" if cause.interval is None else f" [{100 * cause.interval[0]:.0f}, {100 * cause.interval[1]:.0f}]"
    return f"{100 * cause.share:.0f} %{ends}"
