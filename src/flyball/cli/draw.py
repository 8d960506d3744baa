"""The few shapes that answers are drawn in: a table, a list of facts, a heading; times, numbers and intervals as people read them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flyball.records.evidence import Evidence, Outcome
from flyball.records.words import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
"""A SHA-256 is known by its beginning."""

Cell = str | tuple[str, str]
"""Text, or text and its style."""

OUTCOME_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "yellow", Outcome.ERROR: "magenta"}


def text(cell: Cell) -> Text:
    words, style = cell if isinstance(cell, tuple) else (cell, "")
    return Text(_DIGEST.sub(r"\1", harmless(words)), style=style)


def page(parts: "Iterable[RenderableType]") -> Group:
    """One below the other, with an empty line around each table."""
    spaced: list[RenderableType] = []
    after_table = False
    for part in parts:
        is_table = isinstance(part, Table) and bool(part.columns) and part.show_header
        if spaced and (is_table or after_table):
            spaced.append(Text(""))
        spaced.append(part)
        after_table = is_table
    return Group(*spaced)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, plain: bool, title: str = "", right: Sequence[str] = ()
) -> Table:
    """A table; plain: no box, so that other programs can read it."""
    drawn = Table(
        box=None if plain else box.ROUNDED, title=None if plain or not title else title, title_justify="left", title_style="bold",
        header_style="" if plain else "bold", border_style="dim", pad_edge=not plain,
    )  # fmt: skip
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=plain)
    for row in rows:
        drawn.add_row(*(text(cell) for cell in row))
    return drawn


def facts(pairs: Iterable[tuple[str, Cell]]) -> "RenderableType":
    """`name  value` lines."""
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, text(value))
    return drawn


def to_paste(command: str) -> Text:
    """A command for a shell: never folded at the terminal's edge, where a line break inside quotes would be pasted along."""
    return Text(harmless(command), no_wrap=True, overflow="ignore")


def heading(words: str) -> Text:
    return Text(f"\n{words}", style="bold")


_METRICS = ("roc_auc", "log_loss", "mae", "rmse", "brier", "pr_auc", "accuracy", "f1", "mape")


def leading(names: Iterable[str], most: int) -> list[str]:
    """At most so many metrics, those first that say most about a model."""
    order = {name: index for index, name in enumerate(_METRICS)}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))[:most]


def own_metrics(names: Iterable[str]) -> list[str]:
    """Those that are the user's, by name."""
    return sorted(set(names) - set(_METRICS))


def when(moment: datetime | None) -> str:
    """`2026-11-22 14:03 UTC`."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def assigned(values: Mapping[str, Any]) -> str:
    """`C 0.31, fit_intercept True`."""
    return ", ".join(f"{name} {number(value) if isinstance(value, float) else value}" for name, value in values.items())


def measured(evidence: Evidence) -> str:
    """`0.7191 [0.7012, 0.7370]`."""
    if evidence.value is None:
        return f"not measured ({evidence.note})" if evidence.note else "not measured"
    if evidence.lower is None and evidence.upper is None:
        return number(evidence.value)
    lower, upper = ("…" if bound is None else number(bound) for bound in (evidence.lower, evidence.upper))
    return f"{number(evidence.value)} [{lower}, {upper}]"


def outcome(value: Outcome) -> Cell:
    return (value.value, OUTCOME_STYLES[value])


def verdict_sure(evidence: Evidence) -> str:
    """What error rate is claimed."""
    if evidence.alpha is None:
        return ""
    return f"{evidence.alpha:.3g}, {'at all looks' if evidence.anytime else 'at this look'}"
