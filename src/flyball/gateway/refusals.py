"""What is refused of each model's requests before a unit is asked, or as its answer could not be explained: counted in memory, told about once a second.

Refusals are what a saturated gateway mostly does: of one that was not looked at, no more is done here than to count it. Of an invalid one the first fault
tells which column it was and what type came. No value is kept, and no name that a client made up: either may say something of a person.
"""

from collections.abc import Callable
from typing import NamedTuple

from flyball.errors import (
    DeadlinePassed,
    ExplanationFailed,
    Fault,
    FlyballError,
    HttpRefused,
    ModelFailed,
    Overloaded,
    RequestError,
)
from flyball.gateway.capture_writer import Sink
from flyball.gateway.json_faults import ONCE
from flyball.gateway.tables import LiveRoute, LiveTable
from flyball.gateway.tensors.datatypes import BYTES, NUMERIC
from flyball.gateway.tensors.reader import A_COLUMN
from flyball.gateway.validation import ONLY_COLUMNS
from flyball.records.captured import RefusalBatch, Refused
from flyball.records.signature import ColumnType

MOST_FAULTS = 32
"""Different ones of a model in one second; the rest are counted as others."""
ASKED = frozenset({"predict", "infer"})
"""Doors at which a model is asked."""
OF_FORM = frozenset({400, 408, 413, 415})
"""Statuses of requests whose form is at fault. With 401, 403 and 404 nobody asked a model."""

TEXT, NUMBER, BOOLEAN = "text", "a number", "true or false"
_TYPES = {
    ColumnType.NUMBER: NUMBER,
    ColumnType.INTEGER: NUMBER,
    ColumnType.BOOLEAN: BOOLEAN,
    ColumnType.CATEGORY: TEXT,
}
_LITERALS = {
    "true": BOOLEAN, "false": BOOLEAN, "an object": "an object", "a list": "a list", "NaN": NUMBER, "Infinity": NUMBER,
}  # fmt: skip
_DATATYPES = {BYTES: TEXT, "BOOL": BOOLEAN} | dict.fromkeys(NUMERIC, NUMBER)
_ABSENT = frozenset({"nothing", "null"})
_NO_COLUMN = frozenset({ONLY_COLUMNS, A_COLUMN})
"""What is expected where a field's name is at fault."""


class _Kind(NamedTuple):
    """As `Refused` has them."""

    reason: str
    status: int
    field: str = ""
    fault: str = ""
    found: str = ""
    expected: str = ""


_FULL = _Kind(Overloaded.__name__, 429)
_UNKNOWN, _FORM = (_Kind(RequestError.__name__, RequestError.http_status, fault=fault) for fault in ("unknown", "form"))


class Refusals:
    """Of one worker. Used from the event loop only."""

    def __init__(self, capture: Sink, live: Callable[[], LiveTable | None], now_us: Callable[[], int]) -> None:
        self._capture = capture
        self._live = live
        self._now_us = now_us
        self._since_us = 0
        self._of: dict[str, dict[_Kind, list[int]]] = {}
        """Model → kind → requests and rows."""

    def unread(self, model: str) -> None:
        """A request was refused by its head, for want of room. `model`: one that is routed."""
        self._add(model, _FULL, 1)

    def count(self, model: str, error: Exception) -> None:
        """A request to `model`, which is whatever its sender wrote, ended in this."""
        table = self._live()
        route = table.routes.get(model) if table is not None else None
        if table is None or (route is None and model not in table.absent):
            return  # strangers can make up any number of names
        kind = _kind_of(error, route)
        if kind is not None:
            self._add(model, kind, error.rows if isinstance(error, RequestError) else 1)

    def hand_over(self) -> None:
        """All that was counted since the last call."""
        if not self._of:
            return
        counted, self._of = self._of, {}
        table = self._live()
        revision = table.revision if table is not None else 0
        self._capture.hand_over(
            [
                RefusalBatch(
                    at_us=self._since_us,
                    model=model,
                    revision=revision,
                    refused=[Refused(*kind[:2], told[0], told[1], *kind[2:]) for kind, told in kinds.items()],
                )
                for model, kinds in counted.items()
            ]
        )

    def _add(self, model: str, kind: _Kind, rows: int) -> None:
        kinds = self._of.get(model)
        if kinds is None:
            if not self._of:
                self._since_us = self._now_us()
            kinds = self._of[model] = {}
        told = kinds.get(kind)
        if told is None:
            if len(kinds) >= MOST_FAULTS:
                kind = _Kind(kind.reason, kind.status, fault="others")
            told = kinds.setdefault(kind, [0, 0])
        told[0] += 1
        told[1] += rows


def _kind_of(error: Exception, route: LiveRoute | None) -> _Kind | None:
    """None: it is counted elsewhere, or nobody asked the model."""
    if isinstance(error, RequestError):
        return _of_fault(error.faults[0], route) if error.faults and route is not None else _FORM
    if not isinstance(error, FlyballError):
        return _Kind("Unforeseen", 500)
    captured = isinstance(error, ModelFailed) and not isinstance(error, ExplanationFailed)
    if captured or (isinstance(error, DeadlinePassed) and error.asked):
        return None  # a unit was asked, and its failure is captured
    reason, status = type(error).__name__, error.http_status
    if route is not None and route.route.stopped and isinstance(error, HttpRefused) and status == 503:
        return None  # somebody ordered that nobody is answered: it is no failure that each of them is told so
    if status in OF_FORM:
        return _Kind(reason, status, fault="form")
    return _Kind(reason, status) if status == 429 or status >= 500 else None


def _of_fault(fault: Fault, route: LiveRoute) -> _Kind:
    if fault.expected in _NO_COLUMN:
        return _UNKNOWN
    if fault.expected == ONCE:
        return _FORM
    path = fault.path
    check = route.reader.checks.get(fault.column or (path.partition("].")[2] if path.startswith("rows[") else ""))
    if check is None:
        return _FORM
    name, keeping = check.column.name, route.route.keeping
    if keeping is not None and (name in keeping.drop or name in keeping.hash):
        return _invalid(name)  # what came there is kept of nobody's rows
    if fault.found in _ABSENT:
        return _invalid(name, "missing")
    found, expected = _type_of(fault), _TYPES[check.column.type]
    return _invalid(name, "value") if found == expected else _invalid(name, "type", found, expected)


def _invalid(name: str, fault: str = "", found: str = "", expected: str = "") -> _Kind:
    return _Kind(RequestError.__name__, RequestError.http_status, name, fault, found, expected)


def _type_of(fault: Fault) -> str:
    """Of the value that a fault found, by how a value is shown."""
    if fault.column:
        return _DATATYPES.get(fault.found.strip('"'), "another type")
    first = fault.found[:1]
    if first == '"':
        return TEXT
    if first == "-" or first.isdigit():
        return NUMBER
    return _LITERALS.get(fault.found, "another type")
