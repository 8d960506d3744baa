"""How often does it cry wolf? Windows in which nothing drifts, over many draws of the reference."""

import statistics
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

from rich.table import Table as Drawn

from bench.monitoring.data import Absent, Table, load
from bench.monitoring.frames import Frame, Stream
from bench.monitoring.intervals import lower, upper
from bench.monitoring.kept import Kept
from bench.monitoring.nulls import Size, null
from bench.monitoring.subjects import Flyball, Look, Random, Silent, Subject, Textbook
from bench.serving.rounds import tell

BUDGETS = (1, 5)
"""False alarms per 100 windows that the user allows."""
CELLS = 2_000_000
"""Values held at once while windows are looked at."""
ABOUT = 1.05
"""A table of 48,842 rows has about 50,000."""


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    tables: tuple[str, ...]
    sizes: tuple[Size, ...]
    draws: int
    """References drawn for each cell."""
    windows: int
    """After each reference."""
    peer_draws: int
    """Peers see the first few of them, and the first few windows: they take long."""
    peer_windows: int
    dummy_draws: int = 1_000
    """The textbook and the dummies see the first few, too."""
    windows_if_wide: int | None = None
    """In place of `windows` where there are more than 100 features; None: as many."""

    def windows_of(self, size: Size) -> int:
        return self.windows if self.windows_if_wide is None or size.features <= 100 else self.windows_if_wide


FEATURES, WINDOW_ROWS, REFERENCE_ROWS = (5, 20, 128), (100, 1_000, 10_000), (500, 5_000, 50_000)
QUICK = Plan(("adult", "adult-faulty", "hotel", "employment", "metro", "bike", "gas"), (Size(20, 1_000, 5_000),), 6, 100, 2, 20)
MODERATE = Plan(
    QUICK.tables,
    # A Latin square: nine of the 27 sizes, in which each two of the three meet once.
    tuple(Size(p, w, REFERENCE_ROWS[(i + j) % 3]) for i, p in enumerate(FEATURES) for j, w in enumerate(WINDOW_ROWS)),
    6,
    100,
    0,
    0,
    dummy_draws=1,
    windows_if_wide=50,
)
FULL = Plan(
    QUICK.tables,
    tuple(Size(p, w, r) for p in FEATURES for w in WINDOW_ROWS for r in REFERENCE_ROWS),
    20,
    100,
    2,
    50,
    dummy_draws=1,
    windows_if_wide=50,
)


@dataclass
class Cell:
    """One subject on one kind of null."""

    table: str
    size: Size
    how: str
    subject: str
    budget: float | None
    """Alarms per 100 windows that were allowed; None: the subject takes no budget."""
    per_draw: list[tuple[int, int]] = field(default_factory=list)
    """(windows that alarmed, windows), one a reference draw."""
    failed: str = ""

    @property
    def alarms(self) -> int:
        return sum(alarms for alarms, _ in self.per_draw)

    @property
    def windows(self) -> int:
        return sum(windows for _, windows in self.per_draw)

    @property
    def rate(self) -> float:
        return 100.0 * self.alarms / max(self.windows, 1)

    @property
    def bound(self) -> float:
        """Upper 95 % bound per 100 windows."""
        return 100.0 * upper(self.alarms, self.windows)

    @property
    def verdict(self) -> str:
        """Over the budget for sure, within 1.1 of it for sure, or too few windows to say."""
        if self.budget is None or not self.windows:
            return ""
        if self.bound <= 1.1 * self.budget:
            return "met"
        sure = 100.0 * lower(self.alarms, self.windows, 0.999)  # of many cells some are over 95 % by luck
        return "MISSED" if sure > self.budget else "too few windows to say"

    def document(self) -> dict[str, Any]:
        return {
            "table": self.table, "features": self.size.features, "window_rows": self.size.window_rows,
            "reference_rows": self.size.reference_rows, "drawn": self.how, "subject": self.subject, "budget_per_100": self.budget,
            "alarms": self.alarms, "windows": self.windows, "upper_per_100": self.bound if self.windows else None,
            "per_draw": self.per_draw, "verdict": self.verdict, "failed": self.failed,
        }  # fmt: skip

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """A document read again."""
        size = Size(told["features"], told["window_rows"], told["reference_rows"])
        per_draw = [(alarms, windows) for alarms, windows in told["per_draw"]]
        return cls(told["table"], size, told["drawn"], told["subject"], told["budget_per_100"], per_draw, told["failed"])


class Part(NamedTuple):
    """What is measured in one go: one reference of one size, and the windows after it."""

    table: str
    size: Size
    draw: int


def measure(data: Path, plan: Plan, peers: Sequence[Subject], kept: Kept) -> tuple[list[Cell], dict[str, str]]:
    """Also what was skipped, and why. What is in `kept` is taken from there; where its minutes end, so does this."""
    tables: dict[str, Table] = {}
    skipped: dict[str, str] = {}
    for name in plan.tables:
        try:
            tables[name] = load(data, name)
        except Absent as why:
            skipped[name] = str(why)
    cells: list[Cell] = []
    for part in parts(plan, {name: len(table.frame) for name, table in tables.items()}):
        begun = time.perf_counter()
        windows = plan.windows_of(part.size)
        words = f"{part.table} {part.size.words()}, draw {part.draw}, {windows} windows"
        measured = partial(_documents, tables[part.table], part, plan, peers)
        cells += [Cell.of(told) for told in kept.get(words, measured) or ()]
        tell(f"calibration {words}: {time.perf_counter() - begun:.0f} s")
        if kept.over:
            skipped["what is missing"] = "the minutes were over"
            break
    return together(cells), skipped


def parts(plan: Plan, rows: Mapping[str, int]) -> list[Part]:
    """Where a table has about so many rows as the reference or a window. The first draw of every size before the second of any, cheap ones first."""
    return [
        Part(table, size, draw)
        for draw in range(plan.draws)
        for size in sorted(plan.sizes, key=lambda size: (size.features, size.window_rows, size.reference_rows))
        for table, there in rows.items()
        if max(size.reference_rows, size.window_rows) <= ABOUT * there
    ]


def _documents(table: Table, part: Part, plan: Plan, peers: Sequence[Subject]) -> list[dict[str, Any]]:
    return [cell.document() for cell in on_draw(table, part, plan, peers)]


def together(cells: Iterable[Cell]) -> list[Cell]:
    """Draws of the same cell as one."""
    found: dict[tuple[Any, ...], Cell] = {}
    for cell in cells:
        key = (cell.table, cell.size, cell.how, cell.subject, cell.budget)
        same = found.setdefault(key, replace(cell, per_draw=[]))
        same.per_draw += cell.per_draw
        same.failed = same.failed or cell.failed
    return list(found.values())


def on_draw(table: Table, part: Part, plan: Plan, peers: Sequence[Subject]) -> list[Cell]:
    windows = plan.windows_of(part.size)
    drawn = null(table, part.size, windows, part.draw)

    def cell(subject: str, budget: float | None) -> Cell:
        return Cell(table.name, part.size, drawn.how, subject, budget)

    cells = [
        replace(cell("Flyball", budget), per_draw=[(alarms, windows)]) for budget, alarms in _ours(drawn.stream, windows).items()
    ]
    for subject, budget, wanted in _asked(plan, peers, part.draw, zlib.crc32(f"{table.name} {part.draw}".encode())):
        told = cell(subject.name, budget)
        try:
            looks = list(_looks(subject, drawn.stream, min(wanted, windows)))
            told.per_draw.append((sum(look.alarmed for look in looks), len(looks)))
        except RuntimeError as failed:
            told.failed = str(failed)
        cells.append(told)
    return cells


def _ours(stream: Stream, windows: int) -> dict[float, int]:
    """Budget → alarms. Rows are counted once, as in the platform; what is judged under each budget is the same counts."""
    watch = Flyball(100.0).watch(stream.past)
    under = {budget: watch.under(100.0 / budget) for budget in BUDGETS}
    alarms = dict.fromkeys(under, 0)
    for frames in batches(stream, range(windows)):
        for frame in frames:
            counted = watch.count(frame)
            for budget, each in under.items():
                alarms[budget] += each.judge(counted).alarmed
    return alarms


def _asked(plan: Plan, peers: Sequence[Subject], draw: int, seed: int) -> Iterator[tuple[Subject, float | None, int]]:
    """(subject, its budget per 100 windows, how many windows)"""
    for budget in BUDGETS if draw < plan.dummy_draws else ():
        yield Textbook(budget / 100.0), budget, plan.windows
        yield Random(budget / 100.0, seed), budget, plan.windows
    if draw < plan.dummy_draws:
        yield Silent(), 0.0, plan.windows
    if draw < plan.peer_draws:
        for peer in peers:
            yield peer, None, plan.peer_windows


def _looks(subject: Subject, stream: Stream, windows: int) -> Iterator[Look]:
    watch = subject.watch(stream.past)
    for frames in batches(stream, range(windows)):
        yield from watch.look(frames)


def batches(stream: Stream, numbers: range) -> Iterator[list[Frame]]:
    """As many windows at a time as are held without harm."""
    cells = stream.past.window_rows * len(stream.past.reference.seen)
    size = max(1, CELLS // max(cells, 1))
    for first in range(numbers.start, numbers.stop, size):
        yield [stream.make(number) for number in range(first, min(first + size, numbers.stop))]


def drawn(cells: Sequence[Cell]) -> Drawn:
    table = Drawn(
        "rows",
        "features × window / reference",
        "drawn",
        "subject",
        "allowed",
        "alarms per 100 (≤ 95 %)",
        "windows",
        "by draw",
        "",
        box=None,
        pad_edge=False,
    )
    for cell in cells:
        if cell.failed and not cell.windows:
            table.add_row(cell.table, cell.size.words(), cell.how, cell.subject, "", f"failed: {cell.failed[:60]}", "", "", "")
            continue
        rates = [100.0 * alarms / windows for alarms, windows in cell.per_draw]
        table.add_row(
            cell.table, cell.size.words(), cell.how, cell.subject, "" if cell.budget is None else f"{cell.budget:g}",
            f"{cell.rate:.1f} ({cell.bound:.1f})", f"{cell.windows:,}", f"{min(rates):.0f}–{max(rates):.0f}, SD {_spread(rates):.1f}", cell.verdict,
        )  # fmt: skip
    return table


def pooled(cells: Sequence[Cell]) -> Drawn:
    """Over all rows and sizes: each subject once."""
    table = Drawn(
        "all null streams together",
        "allowed",
        "alarms",
        "windows",
        "per 100 (≤ 95 %)",
        "cells over budget for sure",
        box=None,
        pad_edge=False,
    )
    for key in dict.fromkeys((cell.subject, cell.budget) for cell in cells):
        mine = [cell for cell in cells if (cell.subject, cell.budget) == key and cell.windows]
        alarms, windows = sum(cell.alarms for cell in mine), sum(cell.windows for cell in mine)
        if not windows:
            continue
        over = sum(cell.verdict == "MISSED" for cell in mine)
        table.add_row(
            key[0], "" if key[1] is None else f"{key[1]:g}", f"{alarms:,}", f"{windows:,}",
            f"{100 * alarms / windows:.2f} ({100 * upper(alarms, windows):.2f})", f"{over} of {len(mine)}" if key[1] else "",
        )  # fmt: skip
    return table


def by_size(cells: Sequence[Cell], budget: float) -> Drawn:
    """Flyball's alarms by each size alone: features, rows of a window, rows of a reference, table."""
    table = Drawn(f"Flyball, {budget:g} allowed", "alarms", "windows", "per 100 (95 %)", box=None, pad_edge=False)
    ours = [cell for cell in cells if cell.subject == "Flyball" and cell.budget == budget]
    keys: dict[str, Callable[[Cell], str]] = {
        "features": lambda cell: f"{cell.size.features}", "window": lambda cell: f"{cell.size.window_rows:,}",
        "reference": lambda cell: f"{cell.size.reference_rows:,}", "": lambda cell: cell.table,
    }  # fmt: skip
    for what, key in keys.items():
        for value in dict.fromkeys(key(cell) for cell in ours):
            mine = [cell for cell in ours if key(cell) == value]
            alarms, windows = sum(cell.alarms for cell in mine), sum(cell.windows for cell in mine)
            low, high = 100 * lower(alarms, windows, 0.975), 100 * upper(alarms, windows, 0.975)
            table.add_row(
                f"{what} {value}", f"{alarms:,}", f"{windows:,}", f"{100 * alarms / windows:.2f} ({low:.2f} … {high:.2f})"
            )
    return table


def _spread(rates: list[float]) -> float:
    return statistics.stdev(rates) if len(rates) > 1 else 0.0
