"""Files, functions and classes stay small: structure goes wrong in the tail, so the tail is what is tested."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

FILE_LINES, FUNCTION_LINES, PARAMETERS, PUBLIC_METHODS = 400, 50, 6, 12

EXCEPTIONS: dict[str, tuple[int, str]] = {
    "src/flyball/cli/gateway.py::gateway::parameters": (11, "a command's parameters are its options"),
    "src/flyball/cli/gateway.py::bench::parameters": (7, "a command's parameters are its options"),
    "src/flyball/cli/captured.py::export::parameters": (8, "a command: every option is a parameter"),
    "src/flyball/cli/captured.py::import_labels::parameters": (12, "a command: every option is a parameter"),
    "src/flyball/pipelines/evaluation.py::_evidence::parameters": (
        7,
        "the parts of one record",
    ),
    "src/flyball/stats/bootstrap.py::paired_block_bootstrap::parameters": (
        8,
        "a published method: what is compared, then the settings of its interval by name",
    ),
    "src/flyball/cli/replays.py::replay::parameters": (10, "a command: every option is a parameter"),
    "src/flyball/wiring/workspace.py::Workspace": (14, "one facade for every door: a use case each, one-line forwards"),
}
"""`path` or `path::name` → (how large it may be, why). It may only shrink: what is smaller than its entry fails, too."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path, *names: str) -> str:
    return "::".join([str(path.relative_to(ROOT)), *names])


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node.name, node


def sizes(path: Path) -> Iterator[tuple[str, int, int, str]]:
    """(name, size, limit, what is counted) of everything in a file."""
    yield name_of(path), len(path.read_text(encoding="utf-8").splitlines()), FILE_LINES, "lines"
    for name, node in functions(path):
        yield name_of(path, name), (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION_LINES, "lines"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = [argument for argument in arguments if argument.arg not in ("self", "cls")]
        yield name_of(path, name, "parameters"), len(own), PARAMETERS, "parameters"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            public = [item for item in node.body if isinstance(item, Function) and not item.name.startswith("_")]
            yield name_of(path, node.name), len(public), PUBLIC_METHODS, "public methods"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_nothing_is_larger_than_its_limit(path: Path) -> None:
    large = [
        f"{name}: {size} {unit}, at most {EXCEPTIONS.get(name, (limit, ''))[0]}"
        for name, size, limit, unit in sizes(path)
        if size > EXCEPTIONS.get(name, (limit, ""))[0]
    ]
    assert not large, "\n".join(large)


def test_exceptions_only_shrink_and_say_why() -> None:
    found = {name: (size, limit) for path in SOURCES for name, size, limit, _ in sizes(path)}
    for name, (allowed, why) in EXCEPTIONS.items():
        assert why, name
        assert name in found, f"{name} is gone: remove its exception"
        size, limit = found[name]
        assert size > limit, f"{name} is within the limit now: remove its exception"
        assert size == allowed, f"{name} is {size} now: lower its exception"
