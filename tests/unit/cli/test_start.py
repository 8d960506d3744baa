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


def test_what_a_control_process_takes_before_it_listens_brings_no_library_with_it(project: Path) -> None:
    code = (
        "import json, sys, importlib, flyball.web.__main__; from flyball.wiring.workspace import ASKED_LATER\n"
        "for name in ASKED_LATER: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert {each for each in HEAVY if each not in ("jinja2", "starlette")}.isdisjoint(imported(code, project))


def test_the_versions_of_an_embedded_mlflow_are_listed_without_it(tmp_path: Path) -> None:
    making = "from mlflow.tracking import MlflowClient\nMlflowClient('sqlite:///mlflow.db', 'sqlite:///mlflow.db').create_registered_model('shop')"
    subprocess.run([sys.executable, "-P", "-c", making], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    listing = (
        "import json, sys; from pathlib import Path; from flyball.adapters.registry_mlflow import MlflowRegistry\n"
        "assert MlflowRegistry(Path.cwd()).versions('shop') == ()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not {"mlflow", "alembic", "pandas"} & imported(listing, tmp_path)


def test_a_jobs_process_opens_no_ledger(project: Path) -> None:
    code = (
        "import json, sys, flyball.cli.app, flyball.wiring.steps, flyball.adapters.steps; print(json.dumps(sorted(sys.modules)))"
    )
    assert not {"sqlalchemy", "flyball.wiring.worlds", "mlflow", "cel", *CONTROLLING[:2]} & imported(code, project)
