"""Rooms import downwards only, and no folder is a drawer."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWERS = {"utils", "util", "common", "core", "base", "helpers", "helper", "misc", "shared", "lib"}


def test_the_import_contracts_hold(tmp_path: Path) -> None:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]


def test_no_module_is_a_drawer() -> None:
    names = [path for path in (ROOT / "src" / "flyball").rglob("*") if path.stem in DRAWERS]
    assert not names, "name it after what is in it"


def test_only_doors_import_wiring() -> None:
    for path in (ROOT / "src" / "flyball").rglob("*.py"):
        room = path.relative_to(ROOT / "src" / "flyball").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            told = [module, *(f"{module}.{name}" if module else name for name in names)]
            if any(f"{name}.".startswith("flyball.wiring.") for name in told):
                assert room in ("cli", "web", "wiring.py", "wiring"), f"{path} imports wiring"


def test_no_shell_is_ever_started() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {
                    ("os", "system"),
                    ("os", "popen"),
                    ("pickle", "load"),
                    ("pickle", "loads"),
                }, path


def test_no_source_ships_a_stub() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "NotImplementedError" not in text, path
        assert not any(mark in text for mark in ("TODO", "FIXME", "XXX")), path


@pytest.mark.parametrize("module", ["gateway_supervisor", "detached_supervisor"])
def test_a_supervisor_that_only_waits_imports_no_library_that_waiting_does_not_need(module: str) -> None:
    heavy = {"numpy", "pydantic", "yaml", "polars", "sqlalchemy", "httpx", "rich", "typer", "click", "asyncio"}
    code = f"import sys, flyball.cli.gateway_supervisor; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_no_process_imports_what_lies_where_it_is_started() -> None:
    """A project has a `statistics.py` of its own, and gateways run in its directory."""
    commands = 0
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple):
                words = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
                if "-m" in words:
                    commands += 1
                    assert words[words.index("-m") - 1] == "-P", f"{path}:{node.lineno} starts Python without -P"
    assert commands >= 10


READS_THE_DECLARED_TASK = (
    "adapters/steps/",
    "control/replay.py",
    "control/replay_result.py",
    "wiring/replay.py",
    "wiring/captured.py",
)
"""Whoever trains under a flyball.yaml, or lives through a history under one; and who imports labels while nothing is served."""


def test_what_was_made_is_judged_by_its_own_task_and_not_by_that_of_todays_flyball_yaml() -> None:
    """A run that is refused makes control read the new file, and what is served was made under an earlier one."""
    source = ROOT / "src" / "flyball"
    for path in source.rglob("*.py"):
        if not path.relative_to(source).as_posix().startswith(READS_THE_DECLARED_TASK):
            found = [node.lineno for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_declared_task(node)]
            assert not found, f"{path}:{found}: read the task of the unit's reference or signature"


def _is_declared_task(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr != "task":
        return False
    return "spec" in (getattr(node.value, "id", ""), getattr(node.value, "attr", ""))
