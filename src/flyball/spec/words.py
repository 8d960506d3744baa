"""pydantic's errors in the words of whoever wrote the file: what was found, what was expected, what was probably meant."""

import re
import types
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from flyball.spec import schema
from flyball.spec.faults import did_you_mean
from flyball.spec.tree import Path

_LONGEST = 60
"""Characters of a value that are shown back: enough to recognise it."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")

_SIMPLE: dict[Any, str] = {
    timedelta: "a duration such as 30m, 12h, 1d or 2w",
    datetime: "a time such as 2013-03-01T05:00:00Z",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

_SPELLED_DURATION = re.compile(r"(?i)\s*(\d+(?:\.\d+)?)\s*([smhdw])(?:ec|in|our|ay|eek)?[a-z]*\s*")

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a section of key: value lines",
    "model_type": "a section of key: value lines",
    "model_attributes_type": "a section of key: value lines",
    "finite_number": "a finite number",
    "too_short": "at least one entry",
    "string_too_short": "text that is not empty",
}
_PATTERNS = {
    "^[a-z][a-z0-9_-]{0,62}$": "a name of lower-case letters, digits, - and _, beginning with a letter, at most 63 long",
    r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$": "module:function, such as pipeline:train",
    "^[A-Z][A-Z0-9_]*$": "the name of an environment variable in capitals, such as ORDERS_URL",
    r"^[^\s\x00]+$": "an address such as 127.0.0.1, or 0.0.0.0 for every interface",
    "^https?://": "a URL that begins with http:// or https://",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_OTHER_NAMES = {
    "auc": "roc_auc", "rocauc": "roc_auc", "auroc": "roc_auc", "aucpr": "pr_auc", "average_precision": "pr_auc", "logloss": "log_loss",
    "cross_entropy": "log_loss", "brier_score": "brier", "acc": "accuracy", "f1_score": "f1", "mse": "rmse", "mean_absolute_error": "mae",
    "rollback": "roll_back", "train": "retrain", "alert": "notify", "classification": "binary",
    "string": "category", "str": "category", "float": "number", "int": "integer", "bool": "boolean", "numeric": "number",
}  # fmt: skip
"""What the same thing is called elsewhere."""


def found(value: Any) -> str:
    """The value as it stands in the file, shortened, without credentials."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"a section with {', '.join(map(str, list(value)[:4])) or 'nothing in it'}"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = without_secrets(repr(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + "…'"


def without_secrets(text: str) -> str:
    """`postgresql://me:secret@host` → `postgresql://…@host`."""
    return _CREDENTIALS.sub("…@", text)


def expected(item: Mapping[str, Any]) -> str:
    """What one of pydantic's errors asks for."""
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        limit = context[name]
        return f"{text} {limit if isinstance(limit, int) else format(limit, 'g')}"
    if kind == "literal_error":
        return f"one of {', '.join(_options(item))}"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
    return str(item["msg"]).removeprefix("Value error, ")


def wanted(path: Path) -> str:
    """What belongs where nothing was found."""
    return f"{_kind(schema.annotation_of(path))} (it must be given)"


def hint_for_key(path: Path) -> str:
    """What an unknown key was probably meant to be: a neighbour, or the same key elsewhere."""
    key = str(path[-1])
    near = did_you_mean(key, schema.keys_below(path[:-1]))
    places = schema.places_of(key)
    return near or (f"did you mean {places[0]}?" if places else "")


def hint_for_value(value: Any, items: Sequence[Mapping[str, Any]]) -> str:
    """What a wrong value was probably meant to be."""
    options = [option for item in items if item["type"] == "literal_error" for option in _options(item)]
    if options and isinstance(value, str):
        other = _OTHER_NAMES.get(value.strip().lower().replace("-", "_"), "")
        return f"did you mean {other}?" if other in options else did_you_mean(value, options)
    kinds = {str(item["type"]) for item in items}
    spelled = _SPELLED_DURATION.fullmatch(value) if isinstance(value, str) else None
    if spelled and any("duration" in expected(item) for item in items):
        meant = f"{spelled[1]}{spelled[2].lower()}"
        return "" if meant == value else f"did you mean {meant}?"
    if "string_type" in kinds and isinstance(value, bool | int | float):
        return f'Put it in quotes: "{found(value)}"'
    if kinds & {"float_type", "int_type", "bool_type"} and isinstance(value, str) and re.fullmatch(r"-?[\d.]+|true|false", value):
        return f"Without quotes: {value}"
    if "string_pattern_mismatch" in kinds and isinstance(value, str):
        plain = re.sub(r"[^a-z0-9_-]+", "-", value.strip().lower()).strip("-")
        fits = any(re.search(item["ctx"]["pattern"], plain) for item in items if item["type"] == "string_pattern_mismatch")
        return f"did you mean {plain}?" if fits else ""
    return ""


def _options(item: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", "")))


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is list:
        return "a list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a section with {', '.join(schema.keys_below_model(annotation))}"
    return "a section of key: value lines"
