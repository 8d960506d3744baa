"""The report as a person opens it: a real browser runs its scripts under its own content security policy."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flyball.adapters.report_page import write_reports

sys.path.insert(0, str(Path(__file__).parent.parent / "unit" / "adapters"))
from made_up import made_up

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1200,2400", "--virtual-time-budget=4000"]  # fmt: skip

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(the page's document after its scripts ran, what the browser's console said)"""
    directory = tmp_path_factory.mktemp("report")
    page, _ = write_reports(made_up(), directory)
    command = [
        str(BROWSER),
        *FLAGS,
        f"--user-data-dir={directory / 'profile'}",
        "--enable-logging=stderr",
        "--dump-dom",
        page.as_uri(),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    console = "\n".join(line for line in result.stderr.splitlines() if "CONSOLE" in line)
    return result.stdout, console


def test_the_charts_are_drawn_and_nothing_is_refused(opened: tuple[str, str]) -> None:
    document, console = opened
    assert console == ""
    assert len(re.findall(r"<canvas|<svg[^>]*>\s*<rect|<svg", document)) >= 2


def test_the_figures_stand_on_the_page(opened: tuple[str, str]) -> None:
    document, _ = opened
    report = made_up()
    for side in (report.alone, report.governed):
        assert side.mean_monthly_roc_auc is not None
        assert f"{side.mean_monthly_roc_auc:.3f}" in document
    assert f"{report.requests:,}" in document
    assert document.count("d-0") >= report.decisions > 0
