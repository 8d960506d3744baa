"""A comparison of policies as one self-contained page, without scripts: its picture is drawn here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flyball.adapters.report_page.page import HERE, METRIC_NAMES, environment_of
from flyball.control.replay_comparison import UNANSWERED_SHARE, ComparisonReport, PolicyLine, PolicyMonth, of_prices
from flyball.control.replay_metrics import POOLED
from flyball.stats.metrics import HIGHER_IS_BETTER

WIDTH, HEIGHT = 1040, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 34
STROKES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#a6761d")
"""Okabe and Ito's, told apart by most eyes on white and on black; dashes tell the rest apart."""
DASHES = ("", "7 4", "2 4", "10 3 2 3")
RULES = 5
"""Horizontal ones, at about as many round values."""


class Point(NamedTuple):
    x: float
    y: float
    retrained: bool
    words: str


class Curve(NamedTuple):
    name: str
    stroke: str
    dash: str
    pieces: tuple[tuple[Point, ...], ...]
    """Broken where the metric is not defined."""


class Rule(NamedTuple):
    y: float
    words: str


class Picture(NamedTuple):
    width: int
    height: int
    left: int
    right: int
    curves: tuple[Curve, ...]
    rules: tuple[Rule, ...]
    months: tuple[tuple[float, str], ...]
    """(x, month as in the report)"""


def render_comparison(report: ComparisonReport, pages: dict[str, str]) -> str:
    """`pages`: policy → file name of its own report, beside this one."""
    page: str = (
        environment_of(report.timezone)
        .get_template("comparison.html.j2")
        .render(
            report=report,
            pages=pages,
            metric_name=METRIC_NAMES[report.metric],
            better="higher" if report.metric in HIGHER_IS_BETTER else "lower",
            picture=draw(report),
            rows=tuple(_rows(report)),
            most=max(line.answered for line in report.policies),
            enough=1.0 - UNANSWERED_SHARE,
            pooled=POOLED if report.pooled else "",
            decided=report.rethresholded and report.metric != "accuracy",
            prices_told=of_prices(report),
            partly=any(not month.ranked for line in report.policies for month in line.months),
            style=(HERE / "report.css").read_text(encoding="utf-8"),
        )
    )
    return page


def draw(report: ComparisonReport) -> Picture:
    """Every policy's metric by month."""
    months = [month.start for month in report.policies[0].months]
    values = [month.value for line in report.policies for month in line.months if month.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = (high - low) * 0.08 or max(abs(high) * 0.02, 1e-6)  # all alike: a flat line in the middle, not a division by nothing
    low, high = low - room, high + room
    step = (WIDTH - LEFT - RIGHT) / max(len(months) - 1, 1)
    place = {start: round(LEFT + at * step, 1) for at, start in enumerate(months)}

    def height(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    curves = tuple(
        Curve(
            line.name,
            STROKES[at % len(STROKES)],
            DASHES[at % len(DASHES)],
            tuple(
                tuple(
                    Point(place[m.start], height(m.value), m.retrainings > 0, f"{line.name}, {m.start}: {m.value:.4g}")
                    for m in piece
                    if m.value is not None
                )
                for piece in _pieces(line)
            ),
        )
        for at, line in enumerate(report.policies)
    )
    rules = tuple(Rule(height(value), f"{value:.4g}") for value in _round_values(low, high))
    return Picture(WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, curves, rules, tuple((x, start) for start, x in place.items()))


def _pieces(line: PolicyLine) -> Iterator[tuple[PolicyMonth, ...]]:
    piece: list[PolicyMonth] = []
    for month in line.months:
        if month.value is None:
            if piece:
                yield tuple(piece)
            piece = []
        else:
            piece.append(month)
    if piece:
        yield tuple(piece)


def _round_values(low: float, high: float) -> Sequence[float]:
    """1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / RULES
    power = 10.0 ** _floor_log10(rough)
    step = next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= rough)
    first = int(low // step) + 1
    return [at * step for at in range(first, int(high // step) + 1)]


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


class Row(NamedTuple):
    start: str
    n: int
    """Of who answered most."""
    cells: tuple[PolicyMonth, ...]
    """Of each policy."""


def _rows(report: ComparisonReport) -> Iterator[Row]:
    for cells in zip(*(line.months for line in report.policies), strict=True):
        yield Row(cells[0].start, max(cell.n for cell in cells), cells)
