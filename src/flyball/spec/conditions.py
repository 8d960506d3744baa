"""The check of a policy's condition: its syntax, its names, and that it answers yes or no. Needs no data, so that flyball.yaml is checked with it.

The language is CEL, evaluated by `common-expression-language` (cel-rust). Its parser lists only the roots of names, so the dotted names are read from the text.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import combinations, product
from typing import Any

from flyball.records.signals import SIGNALS

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*(?!\w)(\s*\()?")
_WORDS = frozenset({"true", "false", "null", "in"})
_FLAGS, _NUMBERS = (
    "|".join(re.escape(name) for name in SIGNALS if (SIGNALS[name].type is bool) is wanted) for wanted in (True, False)
)
_TERM = rf"(?:!?(?:{_FLAGS})|(?:{_NUMBERS})[ \t\r\n]*(?:[<>]=?|[!=]=)[ \t\r\n]*-?\d{{1,15}}(?:\.\d{{1,15}})?)"
_PLAIN = re.compile(rf"[ \t\r\n]*{_TERM}(?:[ \t\r\n]*(?:&&|\|\|)[ \t\r\n]*{_TERM}){{0,7}}[ \t\r\n]*", re.ASCII)
"""Flags, and numbers beside a literal, joined by `&&` and `||`: sound in CEL whatever the values are, as most conditions are. Every command reads
flyball.yaml, and the library that compiles CEL takes a tenth of a second to be imported."""
_PROBES = (0.0, 1.0, 1e6)
"""Numbers that a condition is tried on: with these most comparisons go both ways, so that few branches stay untried."""
_MOST_FLAGS = 8
"""Of which every combination is tried, in a few milliseconds; each further one doubles that."""
KEPT = 256
"""Conditions of which what was found is remembered: each is asked for several times at every look of the autopilot."""
UNTELLABLE = (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError)
"""What an evaluation raises where CEL has no answer: types that do not fit, a division by zero, an overflow, an index or a key that is not there."""


@lru_cache(maxsize=KEPT)
def check_condition(text: str) -> tuple[str, ...]:
    """The signals that a condition uses, sorted. Raises ValueError saying what was found, what was expected, and did you mean."""
    if _PLAIN.fullmatch(text):
        return names_in(text)
    program = compiled(text)
    names = names_in(text)
    unknown = [name for name in names if name not in SIGNALS]
    if unknown:
        raise ValueError(_unknown(unknown))
    for values in _situations(names):
        _try(program, text, values)
    return names


def compiled(text: str) -> Any:
    """The program of a condition. Raises ValueError for what is no CEL."""
    import cel

    try:
        return cel.compile(text)
    except ValueError as error:
        raise ValueError(f"a condition in CEL, found {text!r}: {short(error)}") from None


def nested(signals: dict[str, Any]) -> dict[str, Any]:
    """`{"drift.alarm": True}` → `{"drift": {"alarm": True}}`, each of the type that the table of signals says: CEL does not mix 1 and 1.0."""
    tree: dict[str, Any] = {}
    for name, value in signals.items():
        if name in SIGNALS:
            root, _, leaf = name.partition(".")
            tree.setdefault(root, {})[leaf] = SIGNALS[name].type(value)
    return tree


def names_in(text: str) -> tuple[str, ...]:
    """Dotted names outside of strings; a method's name after the last dot is not part of them, nor is a function's."""
    found: set[str] = set()
    for match in _NAME.finditer(_STRING.sub('""', text)):
        parts = [part.strip() for part in match[0].rstrip("( \t\n").split(".")]
        if match[1]:
            parts = parts[:-1]
        name = ".".join(parts)
        if name and name not in _WORDS:
            found.add(name)
    return tuple(sorted(found))


def _unknown(unknown: list[str]) -> str:
    said = []
    for name in unknown:
        close = (
            get_close_matches(name, SIGNALS, n=1, cutoff=0.5) or [other for other in SIGNALS if other.startswith(f"{name}.")][:1]
        )
        said.append(f"{name!r}" + (f" (did you mean {close[0]}?)" if close else ""))
    return f"names of signals, found {', '.join(said)}; known are {', '.join(SIGNALS)}"


def _situations(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Combinations of yes and no with numbers that are small, middling and large, all numbers alike."""
    flags = [name for name in names if SIGNALS[name].type is bool]
    numbers = [name for name in names if SIGNALS[name].type is not bool]
    return [
        dict(zip(flags, chosen, strict=True)) | dict.fromkeys(numbers, probe)
        for chosen in _yes_and_no(len(flags))
        for probe in _PROBES
    ]


def _yes_and_no(flags: int) -> Iterator[tuple[bool, ...]]:
    """All combinations; of many flags those in which at most two say yes, and those in which at most one says no."""
    if flags <= _MOST_FLAGS:
        yield from product((False, True), repeat=flags)
        return
    for size in range(3):
        for yes in combinations(range(flags), size):
            yield tuple(place in yes for place in range(flags))
    yield (True,) * flags
    for no in range(flags):
        yield tuple(place != no for place in range(flags))


def _try(program: Any, text: str, values: dict[str, Any]) -> None:
    try:
        answer = program.execute(nested(values))
    except UNTELLABLE as error:
        raise ValueError(f"a condition that can be evaluated, found {text!r}: {short(error)}") from None
    if not isinstance(answer, bool):
        # not a TypeError: it is the text that is wrong, and pydantic collects only a ValueError
        raise ValueError(f"a condition that answers true or false, found {text!r}, which answers {answer!r}")  # noqa: TRY004


def short(error: Exception) -> str:
    """The parser's first line, without its list of every token that could follow."""
    line = str(error).splitlines()[0]
    return line.split(" expecting {", maxsplit=1)[0][:200]
