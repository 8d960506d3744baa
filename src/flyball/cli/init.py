"""`flyball init`: a directory that works, to be changed."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json
from flyball.cli.session import session_of
from flyball.errors import Conflict, Fault, SpecError, StoreUnavailable

_FILES = {
    "flyball.yaml": "flyball.yaml.txt",
    "pipeline.py": "pipeline.py.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
}
_SEED = 8400
"""Any: it only has to be the same everywhere."""


def init(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the project and of the directory that is made.")],
    _json: Json = False,
) -> None:
    """Start a project: a directory with flyball.yaml, pipeline.py and a small data file that works as it is."""
    _check(name)
    directory = Path(name)
    files = start_project(directory)
    screen = session_of(context).screen
    if screen.as_json:
        screen.document({"directory": str(directory), "files": files})
        return
    screen.say("good", f"{directory}/ holds {', '.join(files)}.")
    screen.say("plain", f"Next: cd {directory} && flyball run && flyball up")


def _check(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name):
        expected = "a name, not a path: lower-case letters, digits, - and _, beginning with a letter, at most 63 long"
        raise SpecError([Fault("NAME", repr(name), expected)], file="the command")


def start_project(directory: Path) -> list[str]:
    """Write the files and list them. Raises SpecError for a name that cannot be one, Conflict when something is there already."""
    from flyball.cli.orders_story import orders_csv

    name = directory.resolve().name
    _check(name)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise Conflict(f"{directory} is there already and not empty", next_step="choose another name, or empty it yourself")
        (directory / "data").mkdir(parents=True, exist_ok=True)
        template = resources.files("flyball.cli") / "template"
        for target, source in _FILES.items():
            text = (template / source).read_text(encoding="utf-8").replace("{{name}}", name)
            (directory / target).write_text(text, encoding="utf-8")
        (directory / "data" / "orders.csv").write_text(orders_csv(_SEED), encoding="utf-8")
    except OSError as error:
        raise StoreUnavailable(f"{directory} cannot be written: {error.strerror}") from error
    return [*_FILES, "data/orders.csv"]
