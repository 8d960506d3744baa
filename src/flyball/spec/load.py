"""flyball.yaml → ProjectSpec, or every fault in it at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flyball.errors import Fault, NotFound, SpecError, StoreUnavailable
from flyball.spec import schema, tree, words
from flyball.spec.faults import cross_faults
from flyball.spec.project import ProjectSpec
from flyball.spec.raw import Cross

FILE = "flyball.yaml"
_MODEL_LEVEL = ("value_error", "assertion_error")


def load_project(path: Path) -> ProjectSpec:
    """Read `path` (the file, or the directory that holds `flyball.yaml`).

    Raises SpecError with every fault in the file; NotFound when there is none; StoreUnavailable when it cannot be read.
    """
    file = path / FILE if path.is_dir() else path
    return parse_project(read_file(file), name=file.name)


def parse_project(text: str, *, name: str = FILE) -> ProjectSpec:
    """The project that `text` declares. Raises SpecError with every fault in it."""
    read = tree.read_tree(text)
    if not isinstance(read.value, Mapping):
        missing = Fault(
            "(whole file)", words.found(read.value), "sections such as project:, data:, train:", "Start with: flyball init NAME"
        )
        raise SpecError(read.faults or (missing,), file=name)
    return checked(read, name)


def checked(read: tree.Tree, name: str) -> ProjectSpec:
    """The project that a tree of sections declares. Raises SpecError with every fault in it."""
    spec: ProjectSpec | None = None
    faults = [*read.faults]
    crossed = cross_faults(read.value)
    try:
        spec = ProjectSpec.model_validate(read.value)
    except ValidationError as error:
        faults += _field_faults(error, read, crossed)
    faults += [_placed(fault, read.lines) for fault in crossed]
    if faults or spec is None:
        raise SpecError(_in_order(faults), file=name)
    return spec


def read_file(file: Path) -> str:
    """Its text. Raises NotFound, StoreUnavailable; SpecError when it is too long or no UTF-8."""
    try:
        with file.open("rb") as stream:
            data = stream.read(tree.LIMIT_BYTES + 1)
    except FileNotFoundError:
        next_step = "go into the project's directory, name it with --project DIR, or start one: flyball init NAME"
        raise NotFound(f"there is no {file}", expected="the file that declares a project", next_step=next_step) from None
    except OSError as error:
        raise StoreUnavailable(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > tree.LIMIT_BYTES:
        raise SpecError([Fault("(whole file)", "more than 256 kB", "at most 256 kB")], file=file.name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError(
            [Fault("(whole file)", f"bytes that are not UTF-8 (line {line})", "text in UTF-8")], file=file.name
        ) from None


def _field_faults(error: ValidationError, read: tree.Tree, crossed: Sequence[Cross]) -> list[Fault]:
    """pydantic's errors in our words: one for each path, branches of a union joined, those that `crossed` says better left out."""
    by_path: dict[tree.Path, list[Mapping[str, Any]]] = {}
    for item in error.errors(include_url=False):
        path = _real_path(item, read.value)
        by_path.setdefault(path, []).append(item)
    said_better = {fault.path for fault in crossed}
    # What the tree itself was refused for (a tag, a number too long) is not reported again as a wrong type.
    refused = {fault.path for fault in read.faults}
    faults = []
    for path, items in by_path.items():
        if path in said_better or tree.shown(path) in refused or _other_branch(path, by_path):
            continue
        if _model_level(items) and isinstance(_at(read.value, path), Mapping) and _begins(said_better, path):
            continue
        faults.append(_fault(path, items, read))
    return faults


def _real_path(item: Mapping[str, Any], value: Any) -> tree.Path:
    """The location without the names of union branches and of short forms that pydantic sees and the file does not have."""
    path: list[str | int] = []
    missing = item["type"] == "missing"
    for index, part in enumerate(item["loc"]):
        last = index == len(item["loc"]) - 1
        inside = isinstance(value, Mapping) and part in value
        inside = inside or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        if inside:
            value = value[part]
            path.append(part)
        elif missing and last and isinstance(value, Mapping):
            path.append(part)
    return tuple(path)


def _other_branch(path: tree.Path, by_path: Iterable[tree.Path]) -> bool:
    """Whether a fault lies below this one: then it is the branch of a union that was not meant."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in by_path) and len(path) > 0


def _model_level(items: Sequence[Mapping[str, Any]]) -> bool:
    return all(item["type"] in _MODEL_LEVEL for item in items)


def _begins(paths: Iterable[tree.Path], path: tree.Path) -> bool:
    return any(other[: len(path)] == path for other in paths)


def _fault(path: tree.Path, items: Sequence[Mapping[str, Any]], read: tree.Tree) -> Fault:
    first = items[0]
    if first["type"] == "missing":
        return Fault(tree.shown(path), f"nothing{_line(path[:-1], read.lines)}", words.wanted(path))
    if first["type"] == "extra_forbidden":
        hint = words.hint_for_key(path)
        known = ", ".join(schema.keys_below(path[:-1]))
        return Fault(tree.shown(path), f"an unknown key{_line(path, read.lines)}", f"one of {known}", hint)
    value = _at(read.value, path)
    expected = " or ".join(dict.fromkeys(words.expected(item) for item in items))
    found = f"{words.found(value)}{_line(path, read.lines)}"
    return Fault(tree.shown(path), found, expected, words.hint_for_value(value, items))


def _placed(fault: Cross, lines: Mapping[tree.Path, int]) -> Fault:
    return Fault(
        tree.shown(fault.path), f"{words.without_secrets(fault.found)}{_line(fault.path, lines)}", fault.expected, fault.hint
    )


def _at(value: Any, path: tree.Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _line(path: tree.Path, lines: Mapping[tree.Path, int]) -> str:
    while path and path not in lines:
        path = path[:-1]
    return f" (line {lines[path]})" if path else ""


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """By line, so that a person works down the file."""

    def line(fault: Fault) -> int:
        match = re.search(r"line (\d+)", fault.found)
        return int(match[1]) if match else 0

    return sorted(dict.fromkeys(faults), key=line)
