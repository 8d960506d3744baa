"""Users wait for the start of every command, and most of that is imports: what a command does not use for its usual work it does not import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = ("alembic", "cel", "cloudpickle", "deltalake", "httpx", "jinja2", "lightgbm", "mlflow", "onnx", "onnxruntime", "pandas", "pandera", "polars",
         "prompt_toolkit", "requests", "scipy", "sklearn", "starlette", "uvicorn")  # fmt: skip
CONTROLLING = ("flyball.control.engine", "flyball.control.observe", "flyball.wiring.replay", "flyball.wiring.steps")
"""What only who controls the project needs, and a hundred modules of monitors with it."""
CALL = """
import io, json, sys
from contextlib import redirect_stdout, suppress
sys.argv = ["flyball", *sys.argv[1:]]
from flyball.cli import main
with suppress(SystemExit), redirect_stdout(io.StringIO()):
    main()
print(json.dumps(sorted(sys.modules)))
"""


def imported(code: str, directory: Path, *arguments: str) -> set[str]:
    """By a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-P", "-c", code, *arguments]
    found = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(found.stdout))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("start")
    assert not {*HEAVY, "sqlalchemy", "flyball.wiring"} & imported(CALL, directory, "init", "shop")
    return directory / "shop"


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("versions",), ("decisions",), ("verify",), ("doctor",), ("down",), ("release", "list")],
    ids=" ".join,
)
def test_who_only_looks_imports_no_library_that_looking_does_not_need(project: Path, arguments: tuple[str, ...]) -> None:
    found = imported(CALL, project, *arguments)
    assert "flyball.wiring.workspace" in found, "it did its work"
    assert not set(HEAVY) & found
    assert arguments == ("doctor",) or not set(CONTROLLING) & found


def test_a_control_process_takes_what_it_needs_before_it_listens_and_no_more(project: Path) -> None:
    code = "import json, sys, flyball.web.__main__, flyball.control.engine; print(json.dumps(sorted(sys.modules)))"
    assert {each for each in HEAVY if each not in ("jinja2", "starlette")}.isdisjoint(imported(code, project))


def test_a_jobs_process_opens_no_ledger(project: Path) -> None:
    code = (
        "import json, sys, flyball.cli.app, flyball.wiring.steps, flyball.adapters.steps; print(json.dumps(sorted(sys.modules)))"
    )
    assert not {"sqlalchemy", "flyball.wiring.worlds", "mlflow", "cel", *CONTROLLING[:2]} & imported(code, project)
