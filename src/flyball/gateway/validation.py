"""Rows against a signature: what fits becomes the model's input, what does not is refused with its place.

Two ways to the same truth. The quick one lets msgspec decode straight into a type made from the signature. Whatever it does not take goes the
careful way, which looks at each value and names row, field, found and expected.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.fields import MAX_FLOAT32, ValueCheck, shown
from flyball.records.signature import Column, ColumnType, Signature

MAX_FAULTS = 20
"""A client that got a column wrong has it wrong in every row: twenty examples say it all."""

MAX_ID_CHARACTERS = 200
"""Ids are stored with every prediction and label; a UUID has 36."""


Body = bytes | bytearray


class Rows(NamedTuple):
    """A request's rows, valid."""

    n: int
    columns: Mapping[str, np.ndarray[Any, Any]]
    """Name → (n, 1), float32 with NaN or object of str with ''; empty where `tuples` holds the values."""
    ids: list[str] | None
    keys: list[str] | None
    tuples: Sequence[tuple[Any, ...]] | None = None
    """Each row's values in the signature's order: arrays are made once for all requests that share a call of the model."""


class RowReader:
    """Reads `{"rows": […], "ids"?: […], "keys"?: […]}` for one signature."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self._columns = signature.columns
        self._ignore_extra = signature.extra == "ignore"
        self._max_rows = max_rows
        self._checks = {column.name: ValueCheck(column) for column in signature.columns}
        row = _row_type(signature)
        form = msgspec.defstruct(
            "Form",
            [("rows", list[row]), ("ids", list[str] | None, None), ("keys", list[str] | None, None)],  # type: ignore[valid-type]
            forbid_unknown_fields=True,
            gc=False,
        )
        self._quick = msgspec.json.Decoder(form)
        self._quick_row = msgspec.json.Decoder(row)
        self._careful = msgspec.json.Decoder()

    def read(self, body: Body) -> Rows:
        """Raises RequestError."""
        try:
            # A NUL would reach onnxruntime as the end of the string: another category than the one that was sent.
            form: Any = None if b"\\u0000" in body else self._quick.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            form = None
        if form is not None:
            n = self._counted(form.rows)
            tuples = [*map(msgspec.structs.astuple, form.rows)]
            ids, keys = checked_ids(form.ids, "ids", n, unique=True), checked_ids(form.keys, "keys", n, unique=False)
            return Rows(n, {}, ids, keys, tuples)
        return self.read_carefully(self._parsed(body))

    def _parsed(self, body: Body | msgspec.Raw) -> Any:
        return parsed_json(body, self._careful)

    def read_carefully(self, form: Any) -> Rows:
        """`form`: what the JSON says. Raises RequestError."""
        if not isinstance(form, dict):
            raise RequestError([Fault("body", shown(form), 'an object {"rows": […]}')])
        unknown = [name for name in form if name not in ("rows", "ids", "keys")]
        if unknown:
            raise RequestError([Fault(str(name)[:100], "an unknown field", "rows, ids or keys") for name in unknown[:MAX_FAULTS]])
        rows = form.get("rows")
        if not isinstance(rows, list):
            raise RequestError([Fault("rows", shown(rows) if "rows" in form else "nothing", "a list of objects")])
        n = self._counted(rows)
        faults: list[Fault] = []
        values: list[list[Any]] = [[] for _ in self._columns]
        for at, row in enumerate(rows):
            self._read_row(at, row, values, faults)
            if len(faults) >= MAX_FAULTS:
                break
        if faults:
            raise RequestError(faults[:MAX_FAULTS])
        return Rows(
            n,
            {},
            checked_ids(form.get("ids"), "ids", n, unique=True),
            checked_ids(form.get("keys"), "keys", n, unique=False),
            list(zip(*values, strict=True)),
        )

    def read_raw(self, raws: Sequence[msgspec.Raw], first: int, *, quick: bool) -> list[tuple[Any, ...]]:
        """The values of some rows of a large request; `first` is the number of the first one; `quick`: there is no NUL in them. Raises
        RequestError."""
        if quick:
            try:
                return [msgspec.structs.astuple(self._quick_row.decode(raw)) for raw in raws]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the careful way says what is wrong
        faults: list[Fault] = []
        values: list[list[Any]] = [[] for _ in self._columns]
        for at, raw in enumerate(raws, first):
            self._read_row(at, self._parsed(raw), values, faults)
            if len(faults) >= MAX_FAULTS:
                break
        if faults:
            raise RequestError(faults[:MAX_FAULTS])
        return list(zip(*values, strict=True))

    def _read_row(self, at: int, row: Any, values: list[list[Any]], faults: list[Fault]) -> None:
        if not isinstance(row, dict):
            faults.append(Fault(f"rows[{at}]", shown(row), "an object with the model's columns"))
            return
        for taken, column in zip(values, self._columns, strict=True):
            check = self._checks[column.name]
            value, wrong = check.present(row[column.name]) if column.name in row else check.absent(row)
            taken.append(value)
            if wrong is not None:
                faults.append(wrong.at(f"rows[{at}].{column.name}"))
        if not self._ignore_extra:
            faults.extend(
                Fault(f"rows[{at}].{name[:100]}", "an unknown field", "only the model's columns")
                for name in row
                if name not in self._checks
            )

    def _counted(self, rows: Sequence[Any]) -> int:
        return counted(len(rows), self._max_rows)


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
        raise RequestError([Fault("body", f"no valid JSON: {wrong}"[:300], "strict JSON in UTF-8 with finite numbers")]) from None


def as_array(column: Column, values: Sequence[Any], n: int) -> np.ndarray[Any, Any]:
    """(n, 1) as the model takes it; None is missing."""
    if column.type is ColumnType.CATEGORY:
        array = np.empty(n, dtype=object)
        array[:] = ["" if value is None else value for value in values] if column.missing else list(values)
    else:
        array = np.array(values, dtype=np.float32)
    return array.reshape(n, 1)


def checked_ids(ids: Any, name: str, n: int, *, unique: bool) -> list[str] | None:
    """`ids` if they are n strings fit for storage; raises RequestError."""
    if ids is None:
        return None
    if not isinstance(ids, list) or len(ids) != n:
        found = f"{len(ids)} values" if isinstance(ids, list) else shown(ids)
        raise RequestError([Fault(name, found, f"{n} strings, one a row")])
    for at, each in enumerate(ids):
        if not isinstance(each, str) or not 0 < len(each) <= MAX_ID_CHARACTERS or not each.isprintable():
            raise RequestError([Fault(f"{name}[{at}]", shown(each), f"1 to {MAX_ID_CHARACTERS} printable characters")])
    if unique and len(set(ids)) != n:
        twice = max(ids, key=Counter(ids).__getitem__)
        raise RequestError([Fault(name, f"{shown(twice)} twice", "each prediction id once")])
    return ids


def _row_type(signature: Signature) -> type[msgspec.Struct]:
    """A struct whose strict decoding accepts nothing that the careful way would refuse (the reverse does not hold)."""
    fields = []
    for at, column in enumerate(signature.columns):
        kind = _value_type(column)
        fields.append((f"c{at}", kind | None, None) if column.missing else (f"c{at}", kind))
    return msgspec.defstruct(
        "Row",
        fields,
        rename={f"c{at}": column.name for at, column in enumerate(signature.columns)},
        forbid_unknown_fields=signature.extra == "refuse",
        kw_only=True,
        gc=False,
    )


def _value_type(column: Column) -> Any:
    if column.type is ColumnType.CATEGORY:
        return str
    if column.type is ColumnType.BOOLEAN:
        return bool
    low = -MAX_FLOAT32 if column.minimum is None else column.minimum
    high = MAX_FLOAT32 if column.maximum is None else column.maximum
    if column.type is ColumnType.INTEGER:
        # msgspec's limits of integers must fit 64 bits; beyond them the careful way decides.
        limit = 2**63 - 1
        return Annotated[int, msgspec.Meta(ge=max(math.ceil(low), -limit), le=min(math.floor(high), limit))]
    return Annotated[float, msgspec.Meta(ge=low, le=high)]
