"""The text of schema.yaml: begun by us, then its owner's. It is only added to, and every line that stands there stays."""

from collections.abc import Mapping
from typing import Any

import yaml

HEADER = """\
# What the features of this project look like. Inferred from the first snapshot; edit it as you like, it is read before every run.
# Features that are added to data.features later are added here, too.
# type: number | integer | boolean | category. missing: may be null. minimum, maximum: rows outside are set aside, requests refused.
# categories: seen at first; a new one is a warning, not a fault. A feature's own settings in flyball.yaml come first.
# What requests may bring beyond that: `unknown: as_trained | refuse | flag` says, for a feature or here at the top for all, what becomes of
# a category that is not known, and `outside`, likewise, of a number beyond what training saw; `extra: refuse | ignore`, at the top,
# what becomes of a field that is no feature.
"""

_LEVELS = 3
"""The file, its features, a feature's own keys."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def content_of(text: str) -> Any:
    """Plain values. Raises YAMLError; ValueError for a key that stands there twice, since the later one would hide the earlier."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated(node, "", _LEVELS)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def begun(content: Mapping[str, Any]) -> str:
    """A new file."""
    return HEADER + _dumped(content)


def with_features(text: str, added: Mapping[str, Any]) -> str | None:
    """`text` with more features. None: it is written so that there is no place for them (an alias, say). Raises as `content_of`."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)  # whose marks count characters
    if not isinstance(node, yaml.MappingNode):
        return None
    section = next((value for key, value in node.value if key.value == "features"), None)
    if not isinstance(section, yaml.MappingNode):
        return None
    longer = _in_braces(text, section, added) if section.flow_style else _in_lines(text, section, added)
    before, new = content_of(text), content_of(_dumped(added))
    try:
        same = content_of(longer) == {**before, "features": {**before["features"], **new}}
    except (ValueError, yaml.YAMLError):
        return None
    return longer if same else None


def _in_braces(text: str, section: yaml.MappingNode, added: Mapping[str, Any]) -> str:
    """`features: {hour: {type: integer}}`: before the first, where no comment stands."""
    at = text.find("{", section.start_mark.index) + 1
    new = yaml.safe_dump(dict(added), sort_keys=False, allow_unicode=True, default_flow_style=True, width=2**31).strip()[1:-1]
    return text[:at] + new + (", " if section.value else "") + text[at:]


def _in_lines(text: str, section: yaml.MappingNode, added: Mapping[str, Any]) -> str:
    """A line or more each, after the last: what stands below that, comments and empty lines, belongs to the next section."""
    end = section.end_mark.index
    lines = text[:end].splitlines(keepends=True)
    below: list[str] = []
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        below.insert(0, lines.pop())
    newline = "\r\n" if "\r\n" in text else "\n"
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines.append(newline)
    indent = " " * section.value[0][0].start_mark.column  # the section's own mark is that of its anchor, where it has one
    new = [f"{indent}{line}{newline}" if line else newline for line in _dumped(added).splitlines()]
    return "".join([*lines, *new, *below]) + text[end:]


def _dumped(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, default_flow_style=None, width=160)
    return text


def _refuse_repeated(node: yaml.Node, place: str, levels: int) -> None:
    if not isinstance(node, yaml.MappingNode) or not levels:
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{place}{key.value}", key.start_mark.line + 1
        if name in lines:
            raise ValueError(f"{name} stands there twice (lines {lines[name]} and {line})")
        lines[name] = line
        _refuse_repeated(value, f"{name}.", levels - 1)
