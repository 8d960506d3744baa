"""Profiles and comparisons for the eye: plain text on a terminal, a table with bars in a notebook."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from flyball.monitoring.edge_words import highest_of, middle_half_of, of_stream
from flyball.monitoring.histogram import histogram_of
from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.records.findings import Finding, Histogram

BAR_WIDTH, BAR_HEIGHT = 12, 48
"""Pixels of a bar pair and of the tallest bar."""
NOT_BY_THE_CLOCK = "whether columns follow the clock was not looked at (asked for are windows that divide a day or a week, and of each part of it eight with 20 rows)"
STYLE = "font:12px system-ui,sans-serif;border-collapse:collapse"
CELL = "padding:4px 10px;text-align:left;vertical-align:top;border-bottom:1px solid #8884"


class ComparedColumn(NamedTuple):
    name: str
    effects: dict[str, float]
    """`psi`, `js`, `wasserstein`, …: how far, in several units."""
    finding: Finding | None
    """None: no more than chance, or than anybody would mind."""
    histogram: Histogram | None
    at_least: bool = False
    """`wasserstein` is a lower bound: how far values lie beyond the reference's is not known."""


def profile_text(reference: Reference, beside: Sequence[str]) -> str:
    rows = [("column", "kind", "missing", "what it holds")]
    rows += [
        (stream.name, stream.kind, _missing(stream), _holds(stream)) for stream in reference.streams if stream.role == "feature"
    ]
    return "\n".join((f"{reference.rows:,} rows", _table(rows), *beside))


def profile_html(reference: Reference, beside: Sequence[str]) -> str:
    rows = (
        (
            escape(stream.name),
            stream.kind,
            _missing(stream),
            escape(_holds(stream)),
            _bars(histogram_of(stream, stream.counts), both=False),
        )
        for stream in reference.streams
        if stream.role == "feature"
    )
    return f"<p>{reference.rows:,} rows</p>" + _html(("column", "kind", "missing", "what it holds", ""), rows) + _told(beside)


def comparison_text(head: str, columns: Sequence[ComparedColumn], beside: Sequence[str]) -> str:
    rows = [("column", "moved", "JS distance", "PSI", "Wasserstein", "what")]
    rows += [
        (
            column.name,
            "yes" if column.finding else "",
            f"{column.effects['js']:.3f}",
            f"{column.effects['psi']:.3f}",
            # in the column's own unit; a category has none
            _far(column, "wasserstein") if "wasserstein" in column.effects else "",
            _said(column),
        )
        for column in columns
    ]
    return "\n".join((head, _table(rows), *beside))


def comparison_html(head: str, columns: Sequence[ComparedColumn], beside: Sequence[str]) -> str:
    rows = (
        (
            f"<b>{escape(column.name)}</b>" if column.finding else escape(column.name), "moved" if column.finding else "",
            "<br>".join(f"{name} {_far(column, name)}" for name in column.effects), escape(_said(column)), _bars(column.histogram, both=True),
        )
        for column in columns
    )  # fmt: skip
    legend = '<span style="color:#8a94a3">■</span> reference <span style="color:#1f5fa8">■</span> frame'
    return f"<p>{escape(head)} {legend}</p>" + _html(("column", "", "how far", "what", ""), rows) + _told(beside)


def not_looked_at(left_out: Mapping[str, str]) -> list[str]:
    return [f"not looked at: {name} ({why})" for name, why in left_out.items()]


def infinite(times: Mapping[str, int], where: str = "") -> list[str]:
    told = ", ".join(f"{name} ({count:,})" for name, count in times.items())
    return [f"infinite values, or beyond 3.4e38, count as missing{f' in {where}' if where else ''}: {told}"] if told else []


def coarse(names: Sequence[str]) -> list[str]:
    why = "bins are in float32, which has one place for many of its values: give differences, another unit, or each cluster in a column of its own"
    return [f"not looked at finely: {name} ({why})" for name in names]


def uncentred(far: Sequence[str]) -> str:
    """Of a profile that a release before made."""
    named = f", which {', '.join(far)} may be" if far else ""
    return f"not seen to move, since a release before made the profile: numbers far from 0 beside how far they are apart{named}; profile the frame anew"


def _told(beside: Sequence[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in beside)


def _far(column: ComparedColumn, effect: str) -> str:
    bound = "≥ " if column.at_least and effect == "wasserstein" else ""
    return f"{bound}{column.effects[effect]:.4g}"


def _said(column: ComparedColumn) -> str:
    return column.finding.words.removeprefix(f"{column.name}: ").partition(" (distance")[0] if column.finding else ""


def _missing(stream: Stream) -> str:
    return f"{stream.counts[0] / max(sum(stream.counts), 1):.1%}"


def _holds(stream: Stream) -> str:
    """`0 to 99, half of it from 24 to 74`, or the most frequent categories."""
    total = max(sum(stream.counts), 1)
    if stream.kind == "category":
        named = [f"{name} {count / total:.0%}" for name, count in zip(stream.categories[:4], stream.counts[3:], strict=False)]
        more = len(stream.categories) + len(stream.others) - 4
        return ", ".join(named) + (f" and {more} more" if more > 0 else "")
    if not stream.edges:
        return "nothing"
    low, high = middle_half_of(stream)
    written = of_stream(stream)
    return f"{written(stream.edges[0])} to {written(highest_of(stream))}, half of it from {written(low)} to {written(high)}"


def _on_one_line(text: str) -> str:
    """A line break in a category, or another control character, would break the table, or a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _table(rows: Sequence[Sequence[str]]) -> str:
    rows = [[_on_one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _html(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<table style="{STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _bars(histogram: Histogram | None, *, both: bool) -> str:
    """The reference's bars, and with `both` the frame's beside them; what each is stands in its title."""
    if histogram is None:
        return ""
    most = max((*histogram.reference, *histogram.window)) or 1.0
    drawn = []
    for place, (label, then, now) in enumerate(zip(histogram.labels, histogram.reference, histogram.window, strict=True)):
        title = f"<title>{escape(label)}: {then:.1%}" + (f", now {now:.1%}</title>" if both else "</title>")
        sides = ((then, "#8a94a3", 0), (now, "#1f5fa8", BAR_WIDTH // 2 - 1)) if both else ((then, "#1f5fa8", 0),)
        for share, colour, shift in sides:
            height = round(BAR_HEIGHT * share / most, 1)
            width = BAR_WIDTH // 2 - 1 if both else BAR_WIDTH - 2
            drawn.append(
                f'<rect x="{place * BAR_WIDTH + shift}" y="{BAR_HEIGHT - height:.1f}" width="{width}" height="{height}" fill="{colour}">{title}</rect>'
            )
    wide = len(histogram.labels) * BAR_WIDTH
    return f'<svg width="{wide}" height="{BAR_HEIGHT}" viewBox="0 0 {wide} {BAR_HEIGHT}" role="img" aria-label="histogram">{"".join(drawn)}</svg>'
