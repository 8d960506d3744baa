"""Everything that a person can type, set, meet or use in a condition is in docs/reference, and code shown there runs."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flyball import errors
from flyball.cli.app import app
from flyball.records.signals import SIGNALS
from flyball.spec.load import parse_project
from flyball.spec.schema import all_keys

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def commands() -> dict[str, object]:
    return {each.name or each.callback.__name__.replace("_", "-"): each for each in app.registered_commands}  # type: ignore[union-attr]


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


@pytest.mark.parametrize("name", list(SIGNALS))
def test_every_signal_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in text("signals.md")


def test_the_reference_has_no_signal_that_does_not_exist() -> None:
    shown = re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", text("signals.md"), re.MULTILINE)
    assert sorted(shown) == sorted(SIGNALS)


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
