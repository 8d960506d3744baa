"""Rows against a signature: what fits becomes the model's input, what does not is refused with its place.

Two ways to the same truth. The quick one lets msgspec decode straight into a type made from the signature. Whatever it does not take goes the
careful way, which looks at each value and names row, field, found and expected.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from flyball.errors import Fault, RequestError
from flyball.gateway.fields import MAX_HINTS, MAX_TEXT_CHARACTERS, ValueCheck, hint, shown
from flyball.gateway.flags import Flags, Ranges
from flyball.gateway.json_faults import (
    Text,
    count_colons,
    no_name_twice,
    refuse_repeats,
    unreadable,
    with_no_numbers,
)
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Signature, Unknown

Body = Text

ONLY_COLUMNS = "only the model's columns"
MAX_FAULTS = 20
"""A client that got a column wrong has it wrong in every row: twenty examples say it all."""

MAX_MEANT = 1000
"""Names of a row that are no columns, and perhaps are misspelt ones."""

MAX_ID_CHARACTERS = 200
"""Ids are stored with every prediction and label; a UUID has 36."""


ABSENT_NUMBER = math.nan
ABSENT_TEXT = "\0"
"""What stands in a row for a field that was not sent, told by identity: no request can bring them (null stands as None)."""

Tuples = Sequence[tuple[Any, ...]]
"""Each row's values in the signature's order."""


class Rows(NamedTuple):
    """A request's rows, valid."""

    n: int
    columns: Mapping[str, np.ndarray[Any, Any]]
    """Name → (n, 1), float32 with NaN or object of str with ''; empty where `tuples` holds the values."""
    ids: list[str] | None
    keys: list[str] | None
    tuples: Tuples | None = None
    """Arrays are made of them once for all requests that share a call of the model."""
    explain: bool = False
    """Attributions are asked for."""
    brought: Mapping[str, int] | None = None
    """Columns that may come and that nobody takes, and how many rows have a value; None: none did. They are neither in `columns` nor in `tuples`."""
    rounded: Mapping[str, str] | None = None
    """Columns that came in a type to which their limits are rounded, and that type; None: none did."""


_syntax = msgspec.json.Decoder(msgspec.Raw)
"""Makes nothing of what it reads: of ten megabytes that end in the middle it says so in some ten milliseconds."""

_FORM = ("rows", "ids", "keys", "explain")


class RowReader:
    """Reads `{"rows": […], "ids"?: […], "keys"?: […], "explain"?: true}` for one signature."""

    def __init__(self, signature: Signature, max_rows: int, n_tolerated: int = 0) -> None:
        """`n_tolerated`: so many of the columns, up to the last, may come and nobody takes them."""
        columns = self._columns = signature.columns
        self._n_taken = len(columns) - n_tolerated
        self._ignore_extra = signature.extra == "ignore"
        self._max_rows = max_rows
        self.checks = {column.name: ValueCheck(column) for column in columns}
        self._flagged = tuple(
            (at, column.name, frozenset(column.categories or ()) | ({"", None, ABSENT_TEXT} if column.missing else set()))
            for at, column in enumerate(columns[: self._n_taken])
            if column.unknown is Unknown.FLAG
        )
        self._ranges = Ranges(columns[: self._n_taken]) or None  # None costs every request less than one that is empty
        self._careful = msgspec.json.Decoder()
        # Requests without any of the tolerated columns pay nothing for them.
        self._ways: list[_Way] = []
        for n in dict.fromkeys((self._n_taken, len(columns))):
            # A name with a quotation mark, a limit beyond 64 bits: only the careful way takes them.
            with contextlib.suppress(ValueError):
                self._ways.append(_Way(msgspec.structs.replace(signature, columns=columns[:n])))

    @property
    def flagging(self) -> bool:
        """Whether anything may be said about valid rows."""
        return bool(self._flagged or self._ranges)

    def read(self, body: Body) -> Rows:
        """Raises RequestError."""
        for way in () if _needs_care(body) else self._ways:
            try:
                form = way.form.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            return self._of_form(body, form, way)
        return self.read_carefully(self.parsed(body))

    def _of_form(self, body: Body, form: Any, way: "_Way") -> Rows:
        n = counted(len(form.rows), self._max_rows)
        tuples = [*map(msgspec.structs.astuple, form.rows)]
        names = 1 + (form.ids is not UNSET) + (form.keys is not UNSET) + (form.explain is not UNSET) + way.names(tuples)
        if count_colons(body) != names or not way.countable:
            texts = chain(way.strings(tuples), form.ids or (), form.keys or ())
            if not (way.countable and no_name_twice(body, names, texts)):
                refuse_repeats(body)
        ids = None if form.ids is UNSET else checked_ids(form.ids, "ids", n, unique=True)
        keys = None if form.keys is UNSET else checked_ids(form.keys, "keys", n, unique=False)
        return self._rows(tuples, way.n)._replace(ids=ids, keys=keys, explain=form.explain is True)

    def read_raw(self, raws: Sequence[msgspec.Raw], first: int, *, quick: bool) -> Rows:
        """Some rows of a large request, without their ids; `first` is the number of the first one; `quick`: there is no NUL in them. Raises
        RequestError."""
        for way in self._ways if quick else ():
            decode = way.row.decode
            try:
                tuples = [msgspec.structs.astuple(decode(raw)) for raw in raws]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if way.countable and no_name_twice(b"".join(raws), way.names(tuples), way.strings(tuples)):
                return self._rows(tuples, way.n)
            break
        return self._rows(self._read_raw_carefully(raws, first), len(self._columns))

    def parsed(self, body: Body) -> Any:
        """What the JSON says, as the careful way takes it. Raises RequestError, with row and field where a number is at fault."""
        try:
            parsed_json(body, _syntax)
            form = parsed_json(body, self._careful)
        except RequestError:
            form = with_no_numbers(body)
            if form is not None:
                self.read_carefully(form)
            raise
        refuse_repeats(body)
        return form

    def flags(self, rows: Rows) -> Flags:
        """Nothing is looked up for columns that do not ask for it."""
        flags: Flags = {}
        for at, name, known in self._flagged:
            values = [each[at] for each in rows.tuples] if rows.tuples is not None else rows.columns[name][:, 0].tolist()
            for row, value in enumerate(values):
                if value not in known:
                    flags.setdefault(row, []).append({"field": name, "found": shown(value), "flag": "unknown category"})
        if self._ranges is not None and rows.tuples is not None:
            self._ranges.of_tuples(rows.tuples, flags)
        elif self._ranges is not None:
            self._ranges.of_columns(rows.columns, rows.rounded, flags)
        return flags

    def _rows(self, tuples: Tuples, n: int) -> Rows:
        """Of values of the first `n` columns."""
        if n == self._n_taken:
            return Rows(len(tuples), {}, None, None, tuples)
        counts = (
            (column.name, sum(not left_out(values[at]) and values[at] != "" for values in tuples))
            for at, column in enumerate(self._columns[self._n_taken :], self._n_taken)
        )
        brought = {name: count for name, count in counts if count}
        taken = [values[: self._n_taken] for values in tuples]
        return Rows(len(taken), {}, None, None, taken, brought=brought or None)

    def _read_raw_carefully(self, raws: Sequence[msgspec.Raw], first: int) -> list[tuple[Any, ...]]:
        faults: list[Fault] = []
        odd: RequestError | None = None
        values: list[list[Any]] = [[] for _ in self._columns]
        for at, raw in enumerate(raws, first):
            body = bytes(raw)
            try:
                row = parsed_json(body, self._careful)
                refuse_repeats(body, f"rows[{at}]")
            except RequestError as wrong:
                odd, row = odd or wrong, with_no_numbers(body)
                if row is None:
                    raise
            self._read_row(at, row, values, faults)
            if len(faults) >= MAX_FAULTS:
                break
        if odd is not None and not faults:
            raise odd
        if faults:
            raise RequestError(faults[:MAX_FAULTS])
        return list(zip(*values, strict=True))

    def read_carefully(self, form: Any) -> Rows:
        """`form`: what the JSON says. Raises RequestError."""
        if not isinstance(form, dict):
            raise RequestError([Fault("body", shown(form), 'an object {"rows": […]}')])
        unknown = [name for name in form if name not in _FORM]
        if unknown:
            raise RequestError([Fault(str(name)[:100], "an unknown field", ", ".join(_FORM)) for name in unknown[:MAX_FAULTS]])
        rows = form.get("rows")
        if not isinstance(rows, list):
            raise RequestError([Fault("rows", shown(rows) if "rows" in form else "nothing", "a list of objects")])
        n = counted(len(rows), self._max_rows)
        explain = form.get("explain", False)
        if not isinstance(explain, bool):
            raise RequestError([Fault("explain", shown(explain), "true or false")])
        faults: list[Fault] = []
        values: list[list[Any]] = [[] for _ in self._columns]
        for at, row in enumerate(rows):
            self._read_row(at, row, values, faults)
            if len(faults) >= MAX_FAULTS:
                break
        if faults:
            raise RequestError(faults[:MAX_FAULTS], rows=n)
        ids = checked_ids(form.get("ids"), "ids", n, unique=True)
        keys = checked_ids(form.get("keys"), "keys", n, unique=False)
        return self._rows(list(zip(*values, strict=True)), len(values))._replace(n=n, ids=ids, keys=keys, explain=explain)

    def _read_row(self, at: int, row: Any, values: list[list[Any]], faults: list[Fault]) -> None:
        if not isinstance(row, dict):
            faults.append(Fault(f"rows[{at}]", shown(row), "an object with the model's columns"))
            return
        for taken, column in zip(values, self._columns, strict=True):
            check = self.checks[column.name]
            value, wrong = check.present(row[column.name]) if column.name in row else check.absent()
            taken.append(value)
            if wrong is not None:
                meant = self._hint(check, row) if len(faults) < MAX_HINTS else ""
                faults.append(wrong.at(f"rows[{at}].{column.name}", meant))
                if len(faults) >= MAX_FAULTS:
                    return
        if not self._ignore_extra:
            faults.extend(
                Fault(f"rows[{at}].{name[:100]}", "an unknown field", ONLY_COLUMNS)
                for name in islice(self._unknown(row), MAX_FAULTS)
            )

    def _hint(self, check: ValueCheck, row: dict[str, Any]) -> str:
        """What was perhaps meant, by a value or by a name that is no column."""
        name = check.column.name
        return check.hint(row[name]) if name in row else hint(name, islice(self._unknown(row), MAX_MEANT))

    def _unknown(self, row: dict[str, Any]) -> Iterator[str]:
        return (name for name in row if name not in self.checks)


class _Way:
    """The quick one, for rows of some columns."""

    def __init__(self, signature: Signature) -> None:
        """Raises ValueError for columns that only the careful way takes."""
        columns = signature.columns
        self.n = len(columns)
        row = _row_type(signature)
        self.row: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row)
        self.form: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_form_type(row))
        # A name's own colon would count as one more name.
        self.countable = not any(":" in column.name for column in columns)
        self._optional = tuple((at, _absent(column)) for at, column in enumerate(columns) if column.missing)
        self._texts = tuple(at for at, column in enumerate(columns) if column.type is ColumnType.CATEGORY)

    def names(self, tuples: Tuples) -> int:
        """How many names the rows were written with."""
        names = len(tuples) * self.n
        for at, absent in self._optional:
            names -= len([1 for values in tuples if values[at] is absent])
        return names

    def strings(self, tuples: Tuples) -> Iterator[str | None]:
        return (values[at] for at in self._texts for values in tuples)


def left_out(value: Any) -> bool:
    """Whether a row's value stands for none: an empty category is one."""
    return value is None or value is ABSENT_NUMBER or value is ABSENT_TEXT


def _needs_care(body: Body) -> bool:
    """A NUL would reach onnxruntime as the end of the string: another category than the one that was sent."""
    return b"\\" in body and b"\\u0000" in body  # the single character is found thirty times faster, and is rare


def counted(n: int, max_rows: int) -> int:
    """`n`, if it is a number of rows that is answered; raises RequestError."""
    if n == 0:
        raise RequestError([Fault("rows", "an empty list", "at least one row")])
    if n > max_rows:
        raise RequestError([Fault("rows", f"{n} rows", f"at most {max_rows} in a request")])
    return n


def parsed_json(body: Body | msgspec.Raw | memoryview, decoder: Any) -> Any:
    """What the JSON says; raises RequestError for everything that is not strict JSON (NaN, 1e400, lone surrogates, endless nesting)."""
    try:
        return decoder.decode(body)
    except RecursionError:
        raise RequestError([Fault("body", "JSON nested too deeply", "plain objects and lists")]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise RequestError([unreadable(body, wrong)]) from None


def as_array(column: Column, values: Sequence[Any], n: int) -> np.ndarray[Any, Any]:
    """(n, 1) as the model takes it; None and what stands for absent are missing."""
    if column.type is ColumnType.CATEGORY:
        array = np.empty(n, dtype=object)
        listed = ["" if value is None or value is ABSENT_TEXT else value for value in values] if column.missing else list(values)
        array[:] = listed
    else:
        array = np.array(values, dtype=np.float32)
    return array.reshape(n, 1)


def checked_ids(ids: Any, name: str, n: int, *, unique: bool) -> list[str] | None:
    """`ids` if they are n strings fit for storage; raises RequestError."""
    if ids is None:
        return None
    if not isinstance(ids, list) or len(ids) != n:
        found = f"{len(ids)} values" if isinstance(ids, list) else shown(ids)
        raise RequestError([Fault(name, found, f"{n} strings, one a row")], rows=n)
    for at, each in enumerate(ids):
        if not isinstance(each, str) or not 0 < len(each) <= MAX_ID_CHARACTERS or not each.isprintable():
            raise RequestError([Fault(f"{name}[{at}]", shown(each), f"1 to {MAX_ID_CHARACTERS} printable characters")], rows=n)
    if unique and len(set(ids)) != n:
        twice = max(ids, key=Counter(ids).__getitem__)
        raise RequestError([Fault(name, f"{shown(twice)} twice", "each prediction id once")], rows=n)
    return ids


def _row_type(signature: Signature) -> type[msgspec.Struct]:
    """A struct whose strict decoding accepts nothing that the careful way would refuse (the reverse does not hold)."""
    fields = []
    for at, column in enumerate(signature.columns):
        kind = _value_type(column)
        fields.append((f"c{at}", kind | None, _absent(column)) if column.missing else (f"c{at}", kind))
    return msgspec.defstruct(
        "Row",
        fields,
        rename={f"c{at}": column.name for at, column in enumerate(signature.columns)},
        forbid_unknown_fields=signature.extra == "refuse",
        kw_only=True,
        gc=False,
    )


def _form_type(row: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "Form",
        [
            ("rows", list[row]),
            ("ids", list[str] | None | UnsetType, UNSET),
            ("keys", list[str] | None | UnsetType, UNSET),
            ("explain", bool | UnsetType, UNSET),
        ],
        forbid_unknown_fields=True,
        gc=False,
    )


def _absent(column: Column) -> Any:
    return ABSENT_TEXT if column.type is ColumnType.CATEGORY else ABSENT_NUMBER


def _value_type(column: Column) -> Any:
    if column.type is ColumnType.CATEGORY:
        if column.unknown is Unknown.REFUSE and column.categories:
            return Literal[column.categories]
        return Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)]
    if column.type is ColumnType.BOOLEAN:
        return bool
    low = -MAX_FLOAT32 if column.minimum is None else column.minimum
    high = MAX_FLOAT32 if column.maximum is None else column.maximum
    if column.type is ColumnType.INTEGER:
        # msgspec's limits of integers must fit 64 bits; beyond them the careful way decides.
        limit = 2**63 - 1
        return Annotated[int, msgspec.Meta(ge=max(math.ceil(low), -limit), le=min(math.floor(high), limit))]
    return Annotated[float, msgspec.Meta(ge=low, le=high)]
