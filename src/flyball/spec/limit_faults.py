"""Faults of settings that are well formed and yet can never do what they stand there for: limits that nothing lies between, a port for two doors."""

from collections.abc import Iterator
from typing import Any

from flyball.spec.raw import Cross, Raw, duration_of, items_of, section_of, share_of
from flyball.spec.serve import ServeSpec
from flyball.spec.tree import Path

SHARES = frozenset({"roc_auc", "pr_auc", "accuracy", "f1", "brier"})
"""Metrics that lie from 0 to 1."""

_LIMITED = ("number", "integer")
_PORTS = ("port", "grpc_port", "control_port")
_SAME_PLACE = ("127.0.0.1", "localhost", "0.0.0.0", "::")  # noqa: S104 - compared, not listened at
"""Where a gateway takes the port of the loopback, on which control is."""


def limit_faults(tree: Raw) -> Iterator[Cross]:
    yield from _features(tree)
    yield from _roles(tree)
    yield from _holdout(tree)
    yield from _bounds(tree)
    yield from _ports(tree)


def _features(tree: Raw) -> Iterator[Cross]:
    for name, each in section_of(tree, "data", "features").items():
        path: Path = ("data", "features", name)
        feature = section_of(each)
        kind, low, high = feature.get("type"), _number(feature.get("minimum")), _number(feature.get("maximum"))
        if kind in ("category", "boolean"):
            for key, bound in (("minimum", low), ("maximum", high)):
                if bound is not None:
                    yield Cross((*path, key), f"{bound!r} on a {kind}", f"no {key}: it belongs to {' and '.join(_LIMITED)}")
        elif low is not None and high is not None and low > high:
            yield Cross((*path, "minimum"), f"{low!r}, more than maximum ({high!r})", "minimum ≤ maximum", "No row lies between.")


def _roles(tree: Raw) -> Iterator[Cross]:
    """A column that is the outcome cannot be what a row is about, nor when that happened."""
    data = section_of(tree, "data")
    label = data.get("label")
    for role, expected in (
        ("key", "a column that tells rows apart"),
        ("time", "when the prediction would have been made"),
        ("label_time", "when the label became known"),
    ):
        if isinstance(label, str) and data.get(role) == label:
            yield Cross(("data", role), f"{label!r}, which is the label", expected)


def _holdout(tree: Raw) -> Iterator[Cross]:
    holdout = section_of(tree, "evaluate").get("holdout")
    share, duration = share_of(holdout), duration_of(holdout)
    if (share is not None and not 0.0 < share < 1.0) or (duration is not None and not duration):
        hint = "What is held out judges, and the rest is trained on: both need rows."
        yield Cross(("evaluate", "holdout"), repr(holdout), "a share between 0 and 1, both excluded, or a duration", hint)


def _bounds(tree: Raw) -> Iterator[Cross]:
    for index, gate in enumerate(items_of(section_of(tree, "gates").get("absolute"))):
        metric = section_of(gate).get("metric")
        for key in ("at_least", "at_most"):
            bound = _number(section_of(gate).get(key))
            if isinstance(metric, str) and metric in SHARES and bound is not None and not 0 <= bound <= 1:
                hint = f"did you mean {bound / 100:g}?" if 1 < bound <= 100 else ""
                yield Cross(("gates", "absolute", index, key), f"{bound!r} with {metric}", "from 0 to 1, as the metric", hint)


def _ports(tree: Raw) -> Iterator[Cross]:
    """Of those that stand in the file, the later one in the list is told. One that does not stand there matters to `flyball up` alone, which tells of it
    before anything is started."""
    serve = section_of(tree, "serve")
    apart = serve.get("host", ServeSpec.model_fields["host"].default) not in _SAME_PLACE
    for at, name in enumerate(_PORTS):
        for other in _PORTS[:at]:
            if _same_port(serve.get(name), serve.get(other)) and not (name == "control_port" and apart):
                expected = "a port of its own, or 0 for any free one"
                yield Cross(("serve", name), f"{serve[name]!r}, as serve.{other}", expected)


def _same_port(one: Any, other: Any) -> bool:
    return isinstance(one, int) and not isinstance(one, bool) and one > 0 and one == other


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
