"""A replay's report as one self-contained page, and its figures as JSON beside it."""

from collections.abc import Mapping
from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.report_page.comparison import render_comparison
from flyball.adapters.report_page.page import render
from flyball.control.replay_comparison import ComparisonReport
from flyball.control.replay_report import ReplayReport
from flyball.errors import StoreUnavailable, UserError
from flyball.records import codec

__all__ = ["refuse_unwritable", "render", "render_comparison", "write_comparison", "write_reports"]


def refuse_unwritable(directory: Path) -> None:
    """Before hours are spent on what is to be written there. Raises UserError. What is missing of the directory is made."""
    trial = directory / ".report-can-be-written"
    try:
        replace_file(trial, b"")
        trial.unlink()
    except (StoreUnavailable, OSError) as error:
        cause = error.__cause__ if isinstance(error, StoreUnavailable) else error
        why = (cause.strerror if isinstance(cause, OSError) else "") or str(cause)
        raise UserError(f"reports cannot be written to {directory}: {why}", expected="a directory that can be written",
                        next_step="say another with --output DIR") from error  # fmt: skip


def write_reports(report: ReplayReport, directory: Path, mode: int | None = None) -> tuple[Path, Path]:
    """`report.html` and `report.json`, each whole or not at all. `mode` None: by the umask."""
    page, figures = directory / "report.html", directory / "report.json"
    replace_file(figures, codec.encode(report), mode)
    replace_file(page, render(report).encode("utf-8"), mode)
    return page, figures


def write_comparison(
    report: ComparisonReport, reports: Mapping[str, ReplayReport], directory: Path, mode: int | None = None
) -> tuple[Path, Path]:
    """`report.html` and `report.json` of the comparison, with each policy's own page beside it: `report-NAME.html`."""
    page, figures = directory / "report.html", directory / "report.json"
    names = {name: f"report-{name}.html" for name in reports}
    for name, each in reports.items():
        replace_file(directory / names[name], render(each, name).encode("utf-8"), mode)
    replace_file(figures, codec.encode(report), mode)
    replace_file(page, render_comparison(report, names).encode("utf-8"), mode)
    return page, figures
