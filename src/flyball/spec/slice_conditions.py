"""The condition of a declared slice: CEL over a row's features. Checked with flyball.yaml, without data: its syntax, its names, and that it can answer yes or no.

A feature is written by its name, or as `features['lead time']` where that is no word of CEL. A missing value is null.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice, product
from typing import Any, NamedTuple

from flyball.spec.conditions import UNTELLABLE, compiled, names_in, short

ALL = "features"
"""The map of all features by name."""
_BY_KEY = re.compile(r"(?<![\w.])features\s*\[\s*(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')\s*\]")
_PROBES: dict[str | None, tuple[Any, ...]] = {
    "number": (0.0, 1.0, 1e6, None),
    "integer": (0, 1, 1_000_000, None),
    "boolean": (False, True, None),
    "category": ("", "a", "7", None),
}
"""Values that a condition is tried on. A feature whose type is not known is tried as each."""
_MOST_TRIED = 2_000


class SliceCondition(NamedTuple):
    """Compiled; holds no state between rows."""

    text: str
    features: tuple[str, ...]
    """That it uses, sorted."""
    program: Any

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it is true of these values. One that it cannot be evaluated on (a comparison with a missing value, a division by zero) is not in the slice."""
        try:
            return self.program.execute({**row, ALL: row}) is True
        except UNTELLABLE:
            return False


def compile_slice(text: str, types: Mapping[str, str | None]) -> SliceCondition:
    """`types`: feature → its declared type; None: not known. Raises ValueError saying what was found, what was expected, and did you mean."""
    program = compiled(text)
    names = _features(text)
    unknown = [name for name in names if name not in types]
    if unknown:
        raise ValueError(f"names of features, found {', '.join(_meant(name, types) for name in unknown)}")
    if not names:
        raise ValueError(f"a condition over features, found {text!r}, which uses none")
    condition = SliceCondition(text, names, program)
    _try(condition, types)
    return condition


def _features(text: str) -> tuple[str, ...]:
    by_key = {match[1][1:-1] for match in _BY_KEY.finditer(text)}
    plain = {name for name in names_in(_BY_KEY.sub("true", text)) if name != ALL}
    return tuple(sorted(by_key | plain))


def _meant(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    odd = [other for other in known if not other.isidentifier() and name in re.split(r"\W+", other)]
    if odd and not close:
        close = odd[:1]
    if close and not close[0].isidentifier():
        return f"{name!r} (did you mean features['{close[0]}']?)"
    return f"{name!r}" + (f" (did you mean {close[0]}?)" if close else "")


def _try(condition: SliceCondition, types: Mapping[str, str | None]) -> None:
    every = tuple(value for probes in _PROBES.values() for value in probes)
    kinds = [types[name] for name in condition.features]
    answers: set[Any] = set()
    trouble = ""
    for chosen in islice(product(*(_PROBES.get(kind, every) for kind in kinds)), _MOST_TRIED):
        row = dict(zip(condition.features, chosen, strict=True))
        try:
            answers.add(repr(condition.program.execute({**row, ALL: row})))
        except UNTELLABLE as error:
            trouble = trouble or short(error)
    good = answers & {"True", "False"}
    other = sorted(answers - good - {"None"})  # of a missing value `express` alone answers null
    if other and (not good or None not in kinds):
        raise ValueError(f"a condition that answers true or false, found {condition.text!r}, which answers {other[0]}")
    if not good:
        raise ValueError(f"a condition that can be evaluated, found {condition.text!r}: {trouble}")
