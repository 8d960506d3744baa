"""Everything that a person can type, set, meet or use in a condition is in docs/reference, and code shown there runs."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyball import errors
from flyball.adapters.schema_file import ColumnSchema, Schema, read_schema
from flyball.cli.app import app
from flyball.gateway.routes import DOORS
from flyball.records.signals import SIGNALS
from flyball.spec.load import parse_project
from flyball.spec.schema import all_keys

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def commands() -> dict[str, object]:
    """Also those of groups, as `capture export`."""
    groups = [("", app), *((f"{group.name} ", group.typer_instance) for group in app.registered_groups)]
    return {
        prefix + (each.name or each.callback.__name__.replace("_", "-")): each  # type: ignore[union-attr]
        for prefix, typer in groups
        for each in typer.registered_commands  # type: ignore[union-attr]
    }


@pytest.mark.parametrize("name", [name for name, each in commands().items() if not each.hidden])  # type: ignore[attr-defined]
def test_every_command_is_in_the_reference(name: str) -> None:
    assert f"## flyball {name}" in text("cli.md")


def test_every_option_is_in_the_reference() -> None:
    shown = text("cli.md")
    for name, each in commands().items():
        if each.hidden:  # type: ignore[attr-defined]
            continue
        for parameter in inspect.signature(each.callback).parameters.values():  # type: ignore[attr-defined]
            for option in getattr(parameter.annotation, "__metadata__", ()):
                for declaration in option.param_decls or ():
                    assert declaration in shown, f"{declaration} of flyball {name}"


@pytest.mark.parametrize("key", all_keys())
def test_every_key_of_flyball_yaml_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in text("yaml.md")


def test_the_reference_has_no_key_that_does_not_exist() -> None:
    shown = re.findall(r"^\| `([\w.\[\]]+)`", text("yaml.md"), re.MULTILINE)
    assert sorted(shown) == sorted(all_keys())


@pytest.mark.parametrize(
    "name", [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.FlyballError)]
)
def test_every_error_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in text("errors.md")


def test_every_key_of_schema_yaml_is_in_the_reference_and_no_other() -> None:
    keys = [*Schema.__struct_fields__, *(f"features.NAME.{name}" for name in ColumnSchema.__struct_fields__)]
    assert sorted(re.findall(r"^\| `([\w.]+)`", text("schema.md"), re.MULTILINE)) == sorted(keys)


def test_the_schema_shown_in_the_reference_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text("schema.md"), re.MULTILINE | re.DOTALL)
    (tmp_path / "schema.yaml").write_text(block)
    shown = read_schema(tmp_path / "schema.yaml")
    assert list(shown.features) == ["hour", "wind", "carrier"]


def test_every_door_of_the_gateway_is_in_the_reference_and_no_other() -> None:
    doors = [f"{method} /{'/'.join(pattern)}" for method, pattern in DOORS]
    assert sorted(re.findall(r"^\| `([A-Z]+ /[^`]*)`", text("http.md"), re.MULTILINE)) == sorted(doors)


@pytest.mark.parametrize("name", list(SIGNALS))
def test_every_signal_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in text("signals.md")


def test_the_reference_has_no_signal_that_does_not_exist() -> None:
    shown = re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", text("signals.md"), re.MULTILINE)
    assert sorted(shown) == sorted(SIGNALS)


EVENT_CALLS = {"draft": (1, "kind"), "Draft": (None, "kind")}
STATE_CALLS = {"put": (0, "kind"), "Put": (0, "kind")}
"""Function → where its kind stands: by position, by name."""
Calls = dict[str, tuple[int | None, str]]


def argument(call: ast.Call, position: int | None, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position is not None and len(call.args) > position else None


def called(node: ast.AST) -> str:
    """The name of the function that a call names."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def kinds_in(tree: ast.Module, calls: Calls) -> Iterator[str]:
    """Kinds that a module writes: as literals, or handed on by a function of the module that takes the kind as a parameter."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        parameters = [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]
        for node in ast.walk(function):
            if called(node) not in calls or function.name in calls:
                continue
            given = argument(node, *calls[called(node)])  # type: ignore[arg-type]
            if isinstance(given, ast.Constant):
                yield given.value
            elif isinstance(given, ast.Name) and given.id in parameters:
                place = (parameters.index(given.id), given.id)
                handed = [argument(call, *place) for call in ast.walk(tree) if called(call) == function.name]  # type: ignore[arg-type]
                yield from (each.value for each in handed if isinstance(each, ast.Constant))
            elif not isinstance(given, ast.Attribute):  # `event.kind`: copied from an event that is there
                raise AssertionError(f"line {node.lineno}: no kind can be read here, and so none is documented")  # type: ignore[attr-defined]


def written(calls: Calls) -> list[str]:
    sources = sorted((ROOT / "src").rglob("*.py"))
    return sorted({kind for path in sources for kind in kinds_in(ast.parse(path.read_text(encoding="utf-8")), calls)})


def listed(heading: str) -> list[str]:
    """First cells of the table below a heading of events.md."""
    section = text("events.md").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return sorted(re.findall(r"^\| `([a-z_.]+)`", section, re.MULTILINE))


def test_every_kind_of_event_that_is_written_is_in_the_reference_and_no_other() -> None:
    assert listed("Events") == written(EVENT_CALLS)


def test_every_kind_of_state_that_is_written_is_in_the_reference_and_no_other() -> None:
    assert listed("States") == written(STATE_CALLS)


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        for number, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        ):
            found.append((f"{path.relative_to(ROOT)}#{number}", block))
    return found


@pytest.mark.parametrize(("name", "block"), blocks("python"))
def test_python_shown_in_the_docs_runs(name: str, block: str, tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, f"{name}\n{result.stderr}"


@pytest.mark.parametrize(("name", "block"), [(name, block) for name, block in blocks("yaml") if block.startswith("project:")])
def test_a_whole_flyball_yaml_shown_in_the_docs_is_one(name: str, block: str) -> None:
    parse_project(block, name=name)


def test_links_between_pages_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} → {target}"
