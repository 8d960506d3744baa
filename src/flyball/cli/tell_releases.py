"""What `release status` and `release list` print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.reports import GuardRow, ReleaseReport, ReleaseRow
from flyball.control.unit_names import with_id
from flyball.records.release import TERMINAL

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 41
"""Columns of an interval's picture."""
LOOKS_SHOWN = 8
_MUST = {"pass": "must pass", "not_fail": "must not fail"}
_STYLES = {"pass": "green", "passed": "green", "fail": "bold red", "inconclusive": "yellow", "error": "bold red", "": "dim"}


def release_rows(rows: tuple[ReleaseRow, ...], plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    if not rows:
        return draw.text("Nothing was released yet. Next: flyball run, then flyball up")
    cells = [
        (row.release.id, _named(row.name, row.version), _instead_of(row), row.release.phase.value,
         draw.when(row.release.opened_at), row.release.reason)
        for row in rows
    ]  # fmt: skip
    return draw.table(("release", "version", "instead of", "phase", "opened", "why"), cells, plain=plain)


def _instead_of(row: ReleaseRow) -> str:
    if row.release.champion is None:
        return "nobody"
    return f"{'back to ' if row.goes_back else ''}{_named(row.champion_name, row.champion_version)}"


def release_report(report: ReleaseReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    release = report.release
    towards = "back to" if report.goes_back else "instead of"
    facts: list[tuple[str, draw.Cell]] = [
        ("release", f"{release.id}: {'back from ' if report.goes_back else ''}{with_id(report.name, report.version, release.challenger)}"),
        (towards, with_id(report.champion_name, report.champion_version, release.champion) if release.champion else "nobody: it is the first"),
        ("phase", f"{report.place}, since {draw.when(release.entered_at)}"),
    ]  # fmt: skip
    if release.phase not in TERMINAL:
        seen = (
            f"seen at every gateway {draw.when(release.verified_at)}" if release.verified_at else "not seen at every gateway yet"
        )
        facts.append(("switch", seen))
    facts.append(("now", report.words or "nothing is waited for"))
    if report.drill is not None:
        facts.append(
            ("last drill", f"{draw.when(report.drill.opened_at)} {report.drill.outcome or 'goes on'}: {report.drill.words}")
        )
    parts: list[RenderableType] = [draw.facts(facts)]
    if report.guards:
        parts.append(draw.heading(f"Guards (error rate {report.alpha:g} of the whole release, at all looks together)"))
        for guard in report.guards:
            parts += _guard(guard, plain)
    parts += [draw.heading("How it moved"), *(draw.text(f"· {line}") for line in report.history)]
    return draw.page(parts)


def _named(name: str, version: int | None) -> str:
    return name or ("?" if version is None else f"v{version}")


def _guard(guard: GuardRow, plain: bool) -> list["RenderableType"]:  # noqa: FBT001 - as above
    said = (guard.outcome or "not looked at", _STYLES.get(guard.outcome, ""))
    facts: list[tuple[str, draw.Cell]] = [
        (guard.name, said), ("asks", guard.means), ("says", guard.words),
        ("error rate", f"{guard.alpha:.4g}; margin {guard.margin:g}; {_MUST[guard.must]}"),
    ]  # fmt: skip
    parts: list[RenderableType] = [draw.facts(facts)]
    shown = [point for point in guard.points if point.lower is not None and point.value is not None]
    if shown and not plain:
        parts += [draw.text(line) for line in _picture(guard)]
    return parts


def _picture(guard: GuardRow) -> list[str]:
    """Look by look, from the interval's lower to its upper end: `◆` the estimate, `│` the margin, `┊` nought, where champion and challenger are alike."""
    seen = [point for point in guard.points if point.lower is not None and point.upper is not None and point.value is not None]
    seen = seen[:: max(1, len(seen) // LOOKS_SHOWN)][: LOOKS_SHOWN - 1] + seen[-1:] if len(seen) > LOOKS_SHOWN else seen
    if not seen:
        return []
    last = seen[-1]
    half = 1.5 * max(abs((last.upper or 0.0) - guard.margin), abs(guard.margin - (last.lower or 0.0)), abs(guard.margin), 1e-9)
    lines, zero = [], _column(0.0, guard.margin, half)
    for point in seen:
        cells = [" "] * WIDTH
        low, at, high = (_column(each or 0.0, guard.margin, half) for each in (point.lower, point.value, point.upper))
        for column in range(low, high + 1):
            cells[column] = "─"
        cells[zero] = "┊"
        cells[WIDTH // 2] = "│"
        cells[at] = "◆"
        lines.append(f"   {point.n:>9} {''.join(cells)}")
    ends = f"{guard.margin - half:+.3g}, better", f"{guard.margin + half:+.3g}, worse"
    lines.append(f"   {'rows':>9} {ends[0]:<{WIDTH // 2}}{ends[1]:>{WIDTH - WIDTH // 2}}")
    alone = zero != WIDTH // 2
    legend = (
        f"┊ 0: as the champion, │ margin {guard.margin:.3g}" if alone else f"│ margin {guard.margin:.3g}, and 0: as the champion"
    )
    lines.append(f"   {'':>9} {legend}")
    return lines


def _column(value: float, margin: float, half: float) -> int:
    return min(max(round((value - margin + half) / (2.0 * half) * (WIDTH - 1)), 0), WIDTH - 1)
