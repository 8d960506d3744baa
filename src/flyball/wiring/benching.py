"""`flyball bench`: which package is measured."""

from pathlib import Path

from flyball.adapters.bench.run import bench
from flyball.adapters.gateway_limits import limit_arguments
from flyball.control.bench_reports import BenchReport
from flyball.control.ports import Say
from flyball.errors import NotFound
from flyball.spec.load import load_project
from flyball.wiring.exporting import package_of
from flyball.wiring.workspace import open_workspace

NAMELESS = "model"
"""What a package of no project is called while it is measured."""


def bench_package(package: Path, seconds: float, say: Say) -> BenchReport:
    return bench(package, NAMELESS, seconds, say)


def bench_version(project_dir: Path, model: str | None, version: int | None, seconds: float, say: Say) -> BenchReport:
    """`version` None: the champion, or the newest where nothing was released. Raises NotFound."""
    spec = load_project(project_dir.resolve())
    own = spec.model
    if model is not None and model != own:
        raise NotFound(f"this project has no model {model!r}", expected=own, next_step="name another project with --project DIR")
    number = version or _present(project_dir)
    return bench(package_of(project_dir, number), own, seconds, say, limit_arguments(spec.serve))


def _present(project_dir: Path) -> int:
    workspace = open_workspace(project_dir)
    known = workspace.versions()
    champion = next((row.number for row in known if row.role == "champion"), None)
    if champion is None and not known:
        raise NotFound("this project has no version yet", next_step="flyball run makes one")
    return champion or known[-1].number
