"""What `capture export` and `labels import` print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.reports import ExportReport, ImportReport

if TYPE_CHECKING:
    from rich.console import RenderableType


def export_report(report: ExportReport, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    rows = [(name, f"{n:,}", f"{report.directory}/{name}") for name, n in report.rows.items()]
    parts: list[RenderableType] = [draw.table(("table", "rows added", "where"), rows, plain=plain, right=("rows added",))]
    if report.renamed:
        told = ", ".join(f"{feature} is {column}" for feature, column in report.renamed.items())
        parts.append(draw.text(f"Features under another name: {told}."))
    if report.damaged_bytes:
        parts.append(draw.text((f"{report.damaged_bytes:,} bytes of segments are damaged and were left out.", "bold red")))
    if report.torn:
        parts.append(draw.text(f"{report.torn:,} records were left unfinished by killed workers; their answers had not left."))
    ending = "/*.parquet" if report.format == "parquet" else ""
    reader = "read_parquet" if report.format == "parquet" else "delta_scan"
    parts.append(draw.text(f"In DuckDB: from {reader}('{report.directory}/predictions{ending}')"))
    return draw.page(parts)


def import_report(report: ImportReport, plain: bool) -> "RenderableType":  # noqa: FBT001, ARG001 - Screen.answer's shape
    bad: draw.Cell = "0" if report.refused == 0 else (f"{report.refused:,}", "bold red")
    pairs: list[tuple[str, draw.Cell]] = [
        ("rows", f"{report.rows:,}"), ("accepted", (f"{report.accepted:,}", "green" if report.accepted else "")), ("refused", bad),
    ]  # fmt: skip
    if report.not_known_yet:
        pairs.append(("not known yet", f"{report.not_known_yet:,}"))
    if report.unsent:
        pairs.append(("not sent", (f"{report.unsent:,}", "bold red")))
    parts: list[RenderableType] = [draw.facts(pairs)]
    parts += [draw.text(fault) for fault in report.faults]
    if report.refused > len(report.faults):
        parts.append(draw.text(f"… and {report.refused - len(report.faults):,} more"))
    parts.append(draw.text(_next(report)))
    return draw.page(parts)


def _next(report: ImportReport) -> str:
    if report.trouble:
        return f"Stopped: {report.trouble.rstrip('.')}. What was accepted is stored. Next: the same again, once that is mended."
    if report.refused:
        return "What was accepted is stored. Next: mend the refused rows and run the same again; labels count once."
    if not report.accepted:
        return "No row says yet what became of its prediction. Next: the same again, once some do."
    return "All labels are stored. They count as soon as their predictions are found, whatever the order."
