"""What flyball.yaml may contain, read from the models: the keys below a path, and all keys for the documentation and its test."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flyball.spec.project import ProjectSpec
from flyball.spec.tree import Path


def keys_below(path: Path) -> tuple[str, ...]:
    """The keys that may stand in the section at `path`; empty when it is no section, or one with free keys."""
    models = [ProjectSpec]
    for part in path:
        models = [found for model in models for found in _descend(model, part)]
    return tuple(dict.fromkeys(name for model in models for name, _ in _fields(model)))


def keys_below_model(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of one section."""
    return tuple(name for name, _ in _fields(model))


def all_keys() -> tuple[str, ...]:
    """Every key of flyball.yaml as a dotted path; `[]` stands for an item of a list, `NAME` for a free key."""
    return tuple(dict.fromkeys(_walk(ProjectSpec, "")))


def places_of(key: str) -> tuple[str, ...]:
    """The dotted paths whose last part is `key`."""
    return tuple(path for path in all_keys() if path.rpartition(".")[2] == key)


def annotation_of(path: Path) -> Any:
    """The annotation of the field that `path` names; None when there is no such field."""
    models = [ProjectSpec]
    for part in path[:-1]:
        models = [found for model in models for found in _descend(model, part)]
    for model in models:
        for name, field in _fields(model):
            if name == path[-1]:
                return field.annotation
    return None


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def _descend(model: type[BaseModel], part: str | int) -> list[Any]:
    if isinstance(part, int):
        return [model]
    for name, field in _fields(model):
        if name == part:
            return list(_models_in(field.annotation))
    # Below a section with free keys (`data.features.hour`) the models are those of its values already.
    return [model]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models_in(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, list, dict):
        for argument in get_args(annotation):
            yield from _models_in(argument)


def _walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in _fields(model):
        here = f"{prefix}{name}"
        yield here
        for below in _models_in(field.annotation):
            yield from _walk(below, here + _joint(field.annotation))


def _joint(annotation: Any) -> str:
    if get_origin(annotation) is list:
        return "[]."
    has_free_keys = any(get_origin(argument) is dict for argument in (annotation, *get_args(annotation)))
    return ".NAME." if has_free_keys else "."
