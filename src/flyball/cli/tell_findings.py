"""What `findings` and `explain finding` print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow, WindowPoint
from flyball.records.diagnosis import Diagnosis, Hypothesis, name_of
from flyball.records.findings import Acknowledgement, Finding, Histogram

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR = 24
"""Columns of the longest bar: two of them, a label and two shares fit into 80."""
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def finding_rows(rows: tuple[FindingRow, ...], plain: bool, of: str = "") -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    """`of`: options of a replay that they are of."""
    if not rows:
        return draw.text("Nothing was found, or nothing stands.")
    if not plain:
        return draw.page(
            [
                *_diagnosed(rows),
                *(part for row in rows for part in told(row.finding, _state(row))),
                draw.text(f"Next: flyball explain{of} finding N"),
            ]
        )
    cells = [
        (str(row.finding.number), _state(row), row.finding.kind.value, row.finding.subject, draw.when(row.finding.window_end), harm(row.finding),
         row.finding.words)
        for row in rows
    ]  # fmt: skip
    columns = ("finding", "state", "kind", "of", "window until", "harm", "what it says")
    return draw.page(
        [*_diagnosed(rows), draw.table(columns, cells, plain=plain), draw.text(f"Next: flyball explain{of} finding N")]
    )


def _diagnosed(rows: Sequence[FindingRow]) -> "list[RenderableType]":
    """What the open ones are taken for, each incident once."""
    found = {row.diagnosis.incident: row.diagnosis for row in rows if row.open and row.diagnosis is not None}
    return [draw.text((sentence(each), "bold")) for each in found.values()]


def sentence(diagnosis: Diagnosis) -> str:
    """`Incident 3: concept shift (0.7), because …`."""
    return diagnosis.words[:1].upper() + diagnosis.words[1:] + "."


def incident_rows(rows: tuple[IncidentRow, ...], plain: bool, of: str = "") -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    """`of`: options of a replay that they are of, whose findings nobody acknowledges."""
    if not rows:
        return draw.text("Nothing went wrong, or nothing is open.")
    cells = [
        (str(each.number), ("open", "bold red") if each.ended is None else f"until {draw.when(each.ended)}", draw.when(each.began), each.owner or "nobody",
         _taken_for(row.diagnosis), ", ".join(map(str, each.findings)), each.words if plain else ", ".join(each.subjects))
        for row in rows for each in (row.incident,)
    ]  # fmt: skip
    columns = ("incident", "state", "since", "owner", "taken for", "findings", "what it says" if plain else "of")
    told_of = [draw.text(sentence(row.diagnosis)) for row in rows if row.diagnosis is not None and row.incident.ended is None]
    following = f"Next: flyball explain{of} finding N" + ("" if of else ", flyball acknowledge N")
    return draw.page([draw.table(columns, cells, plain=plain), *told_of, draw.text(following)])


def _taken_for(diagnosis: Diagnosis | None) -> str:
    return "" if diagnosis is None else f"{name_of(diagnosis.kind)} ({diagnosis.score:.2g})"


def told(finding: Finding, state: draw.Cell) -> "tuple[RenderableType, ...]":
    """A head and its sentence: beside six other columns the sentence would be a word wide on a terminal of 80."""
    from rich.padding import Padding
    from rich.text import Text

    words, style = state if isinstance(state, tuple) else (state, "")
    head = draw.text(
        f"{finding.number}  {finding.kind.value} of {finding.subject}  {draw.when(finding.window_end)}  harm {harm(finding)}  "
    )
    head.stylize("bold", 0, len(str(finding.number)))
    return (Text.assemble(head, (words, style)), Padding(draw.text(finding.words), (0, 0, 0, 3)))


def _state(row: FindingRow) -> draw.Cell:
    if row.acknowledgement is not None:
        return ("normal now" if row.acknowledgement.as_normal else "seen", "dim")
    if not row.open:
        return ("past", "dim")
    return ("open", "bold red") if row.finding.pages else ("open, benign", "green")


def harm(finding: Finding) -> str:
    return "unknown" if finding.harm is None else f"{finding.harm:+.4f}"


def finding_report(report: FindingReport, plain: bool, of: str = "") -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    """`of`: options of a replay that it is of, whose findings nobody acknowledges."""
    finding = report.finding
    parts: list[RenderableType] = [draw.text((finding.words, "bold")), draw.facts(_facts(report, of))]
    if finding.histogram is not None:
        parts += [draw.heading("Reference (░) and this window (█)"), *_bars(finding.histogram)]
    if report.series:
        parts += [draw.heading("Window by window"), draw.text(sparkline(report.series))]
    if finding.causes:
        causes = [("" if each.share is None else f"{each.share:.0%}", each.subject, each.words) for each in finding.causes]
        parts += [draw.heading("Causes"), draw.table(("share", "cause", "what"), causes, plain=plain, right=("share",))]
    if report.diagnosis is not None:
        parts += _diagnosis(report.diagnosis, plain=plain)
    if report.upstream:
        parts += [
            draw.heading("At the same time"),
            *(draw.text(f"· {each.subject}, {draw.when(each.at)}, {each.near}: {each.words}") for each in report.upstream),
        ]
    if report.beside:
        parts += [
            draw.heading("In the same window"),
            *(draw.text(f"· {each.number} {each.kind.value}: {each.words}") for each in report.beside),
        ]
    if report.decided:
        decided = (
            f"· {row.id} {draw.when(row.at)} {', '.join(row.actions) or row.rule}: {row.rationale}" for row in report.decided
        )
        parts += [draw.heading("What the autopilot decided next"), *(draw.text(line) for line in decided)]
    return draw.page(parts)


def _diagnosis(found: Diagnosis, *, plain: bool) -> "list[RenderableType]":
    """What its incident is taken for, and every kind that anything speaks for or against."""
    where = "; ".join(
        filter(
            None,
            (
                f"features: {', '.join(found.features)}" if found.features else "",
                f"slices: {', '.join(found.slices)}" if found.slices else "",
            ),
        )
    )
    cells = [
        (f"{each.score:.2f}", name_of(each.kind), *_reasons(each))
        for each in found.hypotheses
        if each.speaks_for or each.speaks_against
    ]
    parts: list[RenderableType] = [
        draw.heading("What kind of incident"), draw.text((sentence(found), "bold")), draw.text(f"{_since(found)}{f'; {where}' if where else ''}."),
    ]  # fmt: skip
    return [*parts, draw.table(("score", "kind", "for", "against"), cells, plain=plain, right=("score",))] if cells else parts


def _since(found: Diagnosis) -> str:
    if found.between is not None:
        return f"It began between {draw.when(found.between[0])} and {draw.when(found.between[1])}"
    return f"It began about {draw.when(found.since)}"


def _reasons(of: Hypothesis) -> tuple[str, str]:
    return "; ".join(of.speaks_for), "; ".join(of.speaks_against)


def _facts(report: FindingReport, of: str) -> list[tuple[str, draw.Cell]]:
    finding, evidence = report.finding, report.finding.evidence
    effects = ", ".join(
        [
            f"{finding.effect:.4g} {finding.effect_unit}",
            *(f"{name} {'≥ ' if name in finding.at_least else ''}{value:.4g}" for name, value in finding.effects.items()),
        ]
    )
    facts: list[tuple[str, draw.Cell]] = [
        ("finding", f"{finding.number} ({finding.id}), {finding.kind.value} of {finding.subject}"), ("unit", finding.unit),
        ("window", f"{draw.when(finding.window_start)} to {draw.when(finding.window_end)}"), ("how far", effects),
        ("how sure", f"{evidence.name} {draw.measured(evidence)} on {evidence.n} {evidence.unit}; {evidence.note or evidence.method}"),
        ("method", evidence.method), ("harm", _harm(finding)), ("budget", _budget(finding)),
    ]  # fmt: skip
    if finding.changed_since is not None:
        first, last = finding.changed_between or (finding.changed_since, finding.changed_since)
        between = f", between {draw.when(first)} and {draw.when(last)}" if first < last else ""
        facts.append(("since", f"about {draw.when(finding.changed_since)}{between}"))
    facts.append(("seen", _seen(report.acknowledgement, finding, of)))
    return facts


def _budget(finding: Finding) -> str:
    if finding.share_of_budget is None:
        return "none of the false-alarm budget is spent: it was counted, not tested"
    return f"{finding.share_of_budget:.1%} of the false-alarm budget is spent where this comes from"


def _harm(finding: Finding) -> draw.Cell:
    if finding.harm is None:
        return ("not known: nothing says what it does to the loss", "yellow")
    words = f"{finding.harm:+.4f} of the mean bounded loss, estimated"
    return (words, "bold red") if finding.pages else (f"{words}: benign, nobody is called", "green")


def _seen(said: Acknowledgement | None, finding: Finding, of: str) -> draw.Cell:
    if said is None:
        return "not acknowledged" + ("" if of else f". Next: flyball acknowledge {finding.number}")
    normal = ", as the new normal" if said.as_normal else ""
    return f"by {said.by} at {draw.when(said.at)}{normal}" + (f": {said.reason}" if said.reason else "")


def _bars(histogram: Histogram) -> list["RenderableType"]:
    most = max((*histogram.reference, *histogram.window), default=0.0) or 1.0
    wide = min(max((len(label) for label in histogram.labels), default=0), 28)
    lines: list[RenderableType] = []
    for label, then, now in zip(histogram.labels, histogram.reference, histogram.window, strict=True):
        name = label if len(label) <= wide else label[: wide - 1] + "…"
        lines.append(draw.text(f"{name:>{wide}} ░ {'░' * round(BAR * then / most):<{BAR}} {then:6.1%}"))
        style = "bold" if abs(now - then) > 0.02 else ""
        lines.append(draw.text((f"{'':>{wide}} █ {'█' * round(BAR * now / most):<{BAR}} {now:6.1%}", style)))
    return lines


def sparkline(points: Sequence[WindowPoint]) -> str:
    """`▁▁▂▇ 0.012 to 0.31, last 0.31 (2013-03-01 00:00 UTC)`; a window that was not measured is a dot."""
    measured = [point.value for point in points if point.value is not None]
    low, high = min(measured), max(measured)
    step = (high - low) or 1.0
    marks = ("·" if each.value is None else _EIGHTHS[1 + round(7 * (each.value - low) / step)] for each in points)
    last = next(point for point in reversed(points) if point.value is not None)
    return f"{''.join(marks)} {low:.4g} to {high:.4g}, last {last.value:.4g} ({draw.when(last.end)})"
