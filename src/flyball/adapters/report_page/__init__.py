"""A replay's report as one self-contained page, and its figures as JSON beside it."""

from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.report_page.page import render
from flyball.control.replay_report import ReplayReport
from flyball.records import codec

__all__ = ["render", "write_reports"]


def write_reports(report: ReplayReport, directory: Path, mode: int | None = None) -> tuple[Path, Path]:
    """`report.html` and `report.json`, each whole or not at all. `mode` None: by the umask."""
    page, figures = directory / "report.html", directory / "report.json"
    replace_file(figures, codec.encode(report), mode)
    replace_file(page, render(report).encode("utf-8"), mode)
    return page, figures
