"""Policies that a replay compares: the project's own, none at all, and files that put other sections in place of flyball.yaml's."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from flyball.errors import Conflict, Fault, NotFound, SpecError
from flyball.spec import tree, words
from flyball.spec.load import FILE, checked, read_file
from flyball.spec.project import ProjectSpec

SECTIONS = ("policies", "autopilot", "monitor", "cost", "release")
"""What such a file may hold: how the loop is governed, never what is trained or on which rows, or it would be another project."""
BUILT_IN = {"never": "no policies", "current": "flyball.yaml as it is"}


class Alternative(NamedTuple):
    name: str
    """Of the file without its ending; names a directory."""
    words: str
    """What it is, for a person."""
    spec: ProjectSpec


def alternatives(project_dir: Path, names: Sequence[str], here: Path) -> tuple[Alternative, ...]:
    """In the order given; a file is looked for from `here`. Raises SpecError, NotFound, and Conflict when two have one name."""
    text = read_file(project_dir / FILE)
    found = [_alternative(text, name, here) for name in names]
    for at, one in enumerate(found):
        if any(one.name == before.name for before in found[:at]):
            raise Conflict(f"two policies are called {one.name!r}", expected="each once", next_step="rename one of the files")
    return tuple(found)


def _alternative(text: str, name: str, here: Path) -> Alternative:
    if name in BUILT_IN:
        spec = checked(tree.read_tree(text), FILE)
        return Alternative(name, BUILT_IN[name], spec.model_copy(update={"policies": []}) if name == "never" else spec)
    file = here / name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", file.stem) or file.stem in BUILT_IN:
        raise Conflict(
            f"a policy cannot be called {file.stem!r}",
            expected=f"letters, digits, - and _; not {' or '.join(BUILT_IN)}",
            next_step="rename the file",
        )
    if not file.exists():
        close = get_close_matches(name, BUILT_IN, n=1)
        if close and not file.suffix:
            raise Conflict(f"there is no file {name!r}, and no policy of that name", next_step=f"did you mean {close[0]}?")
        raise NotFound(
            f"there is no {file}", expected=f"{' or '.join(BUILT_IN)}, or a file with {', '.join(f'{key}:' for key in SECTIONS)}"
        )
    return Alternative(file.stem, name, _merged(text, read_file(file), name))


def _merged(text: str, other: str, name: str) -> ProjectSpec:
    """flyball.yaml with the sections of `other` in place of its own. Every fault is told with the file's own name and line."""
    base, read = tree.read_tree(text), tree.read_tree(other)
    if not isinstance(read.value, Mapping) or not read.value:
        missing = Fault("(whole file)", words.found(read.value), f"sections such as {', '.join(f'{key}:' for key in SECTIONS)}")
        raise SpecError(read.faults or (missing,), file=name)
    strange = [_strange(key, read.lines) for key in read.value if key not in SECTIONS]
    sections: dict[str, Any] = {key: value for key, value in read.value.items() if key in SECTIONS}
    merged = tree.Tree({**base.value, **sections}, read.lines, (*read.faults, *strange))
    return checked(merged, name)


def _strange(key: str, lines: Mapping[tree.Path, int]) -> Fault:
    close = get_close_matches(key, SECTIONS, n=1)
    hint = f"did you mean {close[0]}?" if close else "What is trained, and on which rows, stays as flyball.yaml has it."
    return Fault(key, f"a section that a policy file has not (line {lines[(key,)]})", f"one of {', '.join(SECTIONS)}", hint)
