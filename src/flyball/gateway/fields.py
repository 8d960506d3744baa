"""One value against one column: what it becomes, or what is wrong with it."""

import difflib
import heapq
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from flyball.errors import Fault
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Unknown, limit_words

MAX_TEXT_CHARACTERS = 65_536
"""Of one category: some pages of text pass; megabytes would be captured with every row."""

MAX_HINTS = 3
"""In one request: who sees what was meant by the first ones knows the others, and each hint is looked for on the event loop."""
_COMPARED, _COMPARED_CHARACTERS = 16, 50
"""For one hint: to compare two names of fifty characters takes up to half a millisecond, a thousand pairs half a second."""

_SHOWN_CHARACTERS = 80
_SHOWN_CATEGORIES = 20


class NoNumber(NamedTuple):
    """What a sender wrote where JSON has no such number."""

    text: str


class Wrong(NamedTuple):
    """A fault that does not know its place yet."""

    found: str
    expected: str

    def at(self, path: str, hint: str = "") -> Fault:
        return Fault(path, self.found, self.expected, hint)


class ValueCheck:
    """Decides over the values of one column."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._low = -MAX_FLOAT32 if column.minimum is None else column.minimum
        self._high = MAX_FLOAT32 if column.maximum is None else column.maximum
        self._known = frozenset(column.categories or ()) if column.unknown is Unknown.REFUSE else None
        self.expected = self._words()

    def absent(self) -> tuple[Any, Wrong | None]:
        """A row without this column."""
        return None, None if self.column.missing else Wrong("nothing", self.expected)

    def hint(self, value: Any) -> str:
        """Which category was perhaps meant by a wrong value; '': none. For the first MAX_HINTS faults of a request only."""
        return hint(value, self.column.categories or ()) if isinstance(value, str) and self._known is not None else ""

    def present(self, value: Any) -> tuple[Any, Wrong | None]:
        """(value as used, None) or (None, what is wrong)."""
        if value is None:
            return None, None if self.column.missing else Wrong("null", self.expected)
        kind = self.column.type
        if kind is ColumnType.CATEGORY:
            return self._category(value)
        if kind is ColumnType.BOOLEAN:
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and self._in_range(value)
            if fits and kind is ColumnType.INTEGER:
                fits = value == math.floor(value)
        return (value, None) if fits else (None, Wrong(shown(value), self.expected))

    def takes(self, text: str) -> bool:
        """Whether a category column does."""
        return "\0" not in text and len(text) <= MAX_TEXT_CHARACTERS and (self._known is None or text in self._known)

    def _category(self, value: Any) -> tuple[Any, Wrong | None]:
        return (value, None) if isinstance(value, str) and self.takes(value) else (None, Wrong(shown(value), self.expected))

    def _in_range(self, value: float) -> bool:
        return self._low <= value <= self._high

    def _words(self) -> str:
        column = self.column
        words = {
            ColumnType.NUMBER: "a number",
            ColumnType.INTEGER: "a whole number",
            ColumnType.BOOLEAN: "true or false",
            ColumnType.CATEGORY: f"a string of at most {MAX_TEXT_CHARACTERS} characters without NUL",
        }[column.type]
        if self._known is not None:
            words = _listed(column.categories or ())
        if column.minimum is not None and column.maximum is not None:
            words += f" from {limit_words(column.minimum)} to {limit_words(column.maximum)}"
        elif column.minimum is not None:
            words += f" of at least {limit_words(column.minimum)}"
        elif column.maximum is not None:
            words += f" of at most {limit_words(column.maximum)}"
        elif column.type in (ColumnType.NUMBER, ColumnType.INTEGER):
            words += " (below 3.4e38 in size)"
        return words + (" or null" if column.missing else "")


def _listed(categories: tuple[str, ...]) -> str:
    first = ", ".join(map(shown, categories[:_SHOWN_CATEGORIES]))
    more = len(categories) - _SHOWN_CATEGORIES
    return (f"one of {first}" if first else "no category at all") + (f" or {more} more" if more > 0 else "")


def hint(word: str, known: Iterable[str]) -> str:
    """Which one was perhaps meant: the same in other letters, or what is like it among those that begin alike and are about as long; '': none."""
    if len(word) > _COMPARED_CHARACTERS:
        return ""
    folded, first = word.casefold(), word[:1].casefold()
    short = [each for each in known if len(each) <= _COMPARED_CHARACTERS]
    near = [each for each in short if each.casefold() == folded]
    if not near:
        likely = heapq.nsmallest(_COMPARED, short, key=lambda each: (each[:1].casefold() != first, abs(len(each) - len(word))))
        near = difflib.get_close_matches(word, likely, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def shown(value: Any) -> str:
    """A value as its sender wrote it, cut short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, NoNumber):
        return value.text if len(value.text) <= _SHOWN_CHARACTERS else value.text[:_SHOWN_CHARACTERS] + "…"
    if isinstance(value, list):
        return "a list"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
