"""The step graph: what depends on what, what a step's work is named by, and what may run next."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from flyball.records import codec


class Step(NamedTuple):
    """One step of a pipeline."""

    name: str
    needs: tuple[str, ...]
    code_version: int
    """Raised when the step's own code changes what it gives for the same inputs: older cache entries are then not used."""


STEPS = (
    Step("snapshot", (), 1),
    Step("validate", ("snapshot",), 1),
    Step("train", ("validate",), 1),
    Step("evaluate", ("train",), 2),
    Step("package", ("train", "evaluate"), 1),
)
"""In an order in which they can run."""

NAMES = tuple(step.name for step in STEPS)

_BY_NAME = {step.name: step for step in STEPS}


def step_key(name: str, inputs: Mapping[str, str], content: Any) -> str:
    """The cache key of a step: SHA-256 over its name, its code's version, the keys of the steps it needs, and whatever else decides its result.

    `inputs`: step name → key, at least of the needed ones; `content`: anything that `codec.encode` takes.
    Raises KeyError when a needed step has no key yet.
    """
    step = _BY_NAME[name]
    return codec.digest([name, step.code_version, [inputs[need] for need in step.needs], content])


def run_key(keys: Mapping[str, str]) -> str:
    """What a run is known by: the same key is the same model. Digest over all step keys, in the order of STEPS.

    Give keys that were made without the champion: whom a model was compared with does not make it another model, and asking for the
    same run again, after its version became champion, must find that version and not make a second one.
    """
    return codec.digest([[name, keys[name]] for name in NAMES])


def ready(done: Collection[str]) -> tuple[str, ...]:
    """Steps that are not done and whose needs are, in the order of STEPS."""
    return tuple(step.name for step in STEPS if step.name not in done and all(need in done for need in step.needs))


def directory_name(name: str, key: str) -> str:
    """Where a step's result lies below `cache/`."""
    return f"{name}-{key[:16]}"
