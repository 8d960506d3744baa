"""Faults of what is handed to the user's function, which may be of any kind."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flyball.spec.raw import Cross
from flyball.spec.tree import Path


def train_faults(parameters: Mapping[str, Any], space: Mapping[str, Any]) -> Iterator[Cross]:
    """Of `train.parameters` and `train.tuning.space`."""
    yield from _not_finite(parameters, ("train", "parameters"))
    place: Path = ("train", "tuning", "space")
    yield from _not_finite(space, place)
    for name, choices in space.items():
        if isinstance(choices, list) and len(choices) < 2:
            yield Cross((*place, name), f"{len(choices)} values", "[low, high], or a list of choices")


def _not_finite(value: Any, path: Path) -> Iterator[Cross]:
    """A job's request is JSON, which has no such number: the function would be given None."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _not_finite(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _not_finite(each, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Cross(path, str(value), "a finite number", "Leave it out, and let the function choose it.")
