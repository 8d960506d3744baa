"""Labels as loaded → class names and class indices."""

from collections.abc import Iterable
from typing import Any

from flyball.errors import DataError
from flyball.records.signature import Task

MAX_CLASSES = 1000
"""More distinct labels than this are a number in disguise: the task is then regression, or the column is a key."""


def class_name(value: Any) -> str:
    """A class as it is written in signatures and sent by clients: `true`, `1`, `late`.

    A whole float is written as the integer (1.0 → `1`): a source that had missing labels in between makes floats of integers.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def order_classes(values: Iterable[Any], task: Task, positive: str | None, label: str) -> tuple[str, ...]:
    """Class names in the order of the score columns: sorted by value; binary: the positive one last. Empty for regression.

    `values`: the distinct labels, none of them null. Raises DataError when they do not fit the task.
    """
    if task == "regression":
        return ()
    names = tuple(dict.fromkeys(class_name(value) for value in sorted(values, key=_by_value)))
    if len(names) < 2:
        raise DataError(
            f"the label {label!r} has a single class ({names[0] if names else 'none'})", expected="at least two classes",
            next_step="check the label's column and the time range of the data",
        )  # fmt: skip
    if task == "multiclass":
        if len(names) > MAX_CLASSES:
            raise DataError(
                f"the label {label!r} has {len(names)} classes",
                expected=f"at most {MAX_CLASSES}",
                next_step="is the task regression?",
            )
        return names
    return _binary(names, positive, label)


def _binary(names: tuple[str, ...], positive: str | None, label: str) -> tuple[str, ...]:
    if len(names) != 2:
        shown = ", ".join(repr(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
        alike = _alike(names)
        told = f": {' and '.join(map(repr, alike))} differ by blanks alone" if alike else ""
        raise DataError(f"the label {label!r} has {len(names)} classes ({shown}){told}", expected="two, for task: binary",
                        next_step="take the blanks away in the source" if alike
                        else "set task: multiclass or task: regression, or mend the label")  # fmt: skip
    if positive is None:
        return names
    wanted = positive if positive in names else positive.lower()
    if wanted not in names:
        raise DataError(f"data.positive is {positive!r}, and the label {label!r} has the classes {names[0]!r} and {names[1]!r}",
                        expected="one of these two", next_step="mend data.positive in flyball.yaml")  # fmt: skip
    return (names[0] if names[1] == wanted else names[1], wanted)


def _alike(names: tuple[str, ...]) -> tuple[str, ...]:
    """The first that are one class to whoever reads them."""
    bare: dict[str, list[str]] = {}
    for name in names:
        bare.setdefault(name.strip(), []).append(name)
    return next((tuple(several) for several in bare.values() if len(several) > 1), ())


def _by_value(value: Any) -> tuple[int, float, str]:
    """Numbers by size, before texts."""
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
