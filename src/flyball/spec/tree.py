"""YAML text → plain values with the line of each: safe, bounded, and strict about what people do not see (repeated keys, tags, bombs)."""

import re
from typing import Any, NamedTuple

import yaml

from flyball.errors import Fault

LIMIT_BYTES = 256 * 1024
"""A hundred times a long flyball.yaml; beyond it, somebody gave the wrong file."""
_LIMIT_DEPTH = 32
"""The deepest key of flyball.yaml is at 6; the composer is recursive and must not meet more."""
_LIMIT_NODES = 20_000
"""After aliases are followed: what a bomb of aliases would exceed."""

LEAST_INTEGER, LARGEST_INTEGER = -(1 << 63), (1 << 64) - 1
"""What MessagePack, JSON's readers and columns hold; Python itself refuses to write one of more than 4,300 digits in decimals."""
_LONGEST = 60
"""Characters of a value that are shown back."""

_PLAIN = frozenset({"str", "int", "float", "bool", "null", "map", "seq"})

Path = tuple[str | int, ...]

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """The safe loader, with numbers as people write them and without dates."""


_FLOAT = re.compile(r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(("timestamp", "merge"))]
    for first, rules in _Base.yaml_implicit_resolvers.items()
}
# YAML 1.1 takes 1e-4 for text because it lacks a point.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


class Tree(NamedTuple):
    """What the file says, where, and what is wrong with it as YAML."""

    value: Any
    lines: dict[Path, int]
    """Path → line, counted from 1, of the key that names it (or of the list's item)."""
    faults: tuple[Fault, ...]


def shown(path: Path) -> str:
    """`("release", "steps", 2, "traffic")` → `release.steps[2].traffic`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(whole file)"


def read_tree(text: str) -> Tree:
    """Read `text`. Never raises for what is in it: what is wrong is in `faults`, and the rest is still there to be checked."""
    broken = _unreadable(text)
    if broken:
        return Tree(None, {}, (broken,))
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        builder = _Builder(loader)
        value = None if node is None else builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        return Tree(None, {}, (_syntax(error),))
    except _TooMuch:
        expected = f"a file of at most {_LIMIT_NODES} values and {_LIMIT_DEPTH} levels, aliases followed"
        return Tree(None, {}, (Fault("(whole file)", "more than that", expected, "Write repeated parts out."),))
    finally:
        loader.dispose()
    return Tree(value, builder.lines, tuple(builder.faults))


class _TooMuch(Exception):
    """The tree is larger than any honest file."""


class _Builder:
    """Turns nodes into values, and remembers lines and faults on the way."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._nodes = 0
        self.lines: dict[Path, int] = {}
        self.faults: list[Fault] = []

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > _LIMIT_NODES or len(path) > _LIMIT_DEPTH:
            raise _TooMuch
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _PLAIN:
            return self._refuse(path, f"the tag {_brief(node.tag)}", "a plain value without a tag")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        kind = node.tag.rpartition(":")[2]
        if kind in ("int", "float") and ":" in node.value:
            # Before it is reckoned: that takes seconds for a long one.
            hint = "Numbers of base 60 are not read: in quotes it is text."
            return self._refuse(path, _brief(node.value), "a number without colons, or text", hint=hint)
        try:
            value = self._loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):
            return self._refuse(path, _brief(repr(node.value)), f"a value of the type {kind}")
        if isinstance(value, int) and not LEAST_INTEGER <= value <= LARGEST_INTEGER:
            hint = "In quotes it is text."
            return self._refuse(path, _brief(node.value), "a whole number of at most 64 bits", hint=hint)
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse((*path, "?"), "a list or a section as a key", "text as a key", line=key.start_mark.line + 1)
                continue
            name, line = str(key.value), key.start_mark.line + 1
            below = (*path, name)
            if name in result:
                found = f"the key twice (lines {self.lines[below]} and {line})"
                self.faults.append(Fault(shown(below), found, "each key once", "Remove one of them."))
                continue
            self.lines[below] = line
            result[name] = self.build(value, below)
        return result

    def _refuse(self, path: Path, found: str, expected: str, *, line: int | None = None, hint: str = "") -> None:
        where = line if line is not None else self.lines[path]
        self.faults.append(Fault(shown(path), f"{found} (line {where})", expected, hint))


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _unreadable(text: str) -> Fault | None:
    """What makes the text unfit to be composed. Reads events only: the parser does not recurse, the composer does."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _LIMIT_DEPTH:
                where = f" (line {event.start_mark.line + 1})" if event.start_mark else ""
                return Fault("(whole file)", f"values nested more than {_LIMIT_DEPTH} deep{where}", f"at most {_LIMIT_DEPTH}")
    except yaml.MarkedYAMLError as error:
        return _syntax(error)
    except yaml.YAMLError as error:
        return Fault("(whole file)", f"a character that YAML does not allow ({str(error).splitlines()[0]})", "text in UTF-8")
    return None


def _syntax(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return Fault(
        "(whole file)", f"text that is not YAML: {error.problem or error.context or 'unreadable'}{where}",
        "key: value lines, indented by spaces", "Look at that line and the one above it.",
    )  # fmt: skip
