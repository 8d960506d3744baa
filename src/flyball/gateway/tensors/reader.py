"""Tensors against a signature: what fits becomes the model's input, what does not is refused with its place."""

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.fields import shown
from flyball.gateway.narrow import NARROW
from flyball.gateway.tensors.binary import decoded
from flyball.gateway.tensors.columns import ColumnCheck
from flyball.gateway.tensors.datatypes import ACCEPTED, NUMERIC
from flyball.gateway.tensors.pieced import PiecedColumn, PiecedMatrix
from flyball.gateway.validation import MAX_FAULTS, MAX_ID_CHARACTERS, Rows, checked_ids, counted
from flyball.records.signature import ColumnType, Signature

Array = np.ndarray[Any, Any]
Values = list[Any] | list[bytes] | Array
Given = dict[str, tuple[str, Values | PiecedColumn]]
"""Column → datatype and values."""


A_COLUMN = "a column of the model"
_MOST_WRITTEN = 12
"""Characters that JSON may take for one: beyond U+FFFF two escapes."""


class Tensor(msgspec.Struct, gc=False):
    """One input as it came. A fault names it by its place, `inputs[0]`."""

    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    """A list as JSON has it, or what took it piece by piece; bytes as a memoryview, or an array or list of bytes of the right datatype."""
    parameters: dict[str, Any] | None = None


class Identity(NamedTuple):
    """What a request says about its rows: lists of strings, one a row, or one as JSON (gRPC's parameters hold no lists), or None."""

    ids: Any = None
    keys: Any = None


class TensorReader:
    """Reads one signature's columns, each as a tensor of shape [n] or [n, 1], or all of them as one tensor [n, k]."""

    def __init__(self, signature: Signature, n_matrix: int, max_rows: int, n_tolerated: int = 0) -> None:
        """`n_matrix`: so many of the columns, from the first on, are those of one tensor that holds them all. `n_tolerated`: so many, up to the last, may come
        and nobody takes them."""
        self._checks = {column.name: ColumnCheck(column) for column in signature.columns}
        self._tolerated = frozenset(column.name for column in signature.columns[len(signature.columns) - n_tolerated :])
        self._refuse_extra = signature.extra == "refuse"
        self._max_rows = max_rows
        own = signature.columns[:n_matrix]
        numeric = all(column.type is not ColumnType.CATEGORY for column in own)
        # A tensor [n, 1] is a column: under another name than the column's it is a mistake.
        self._matrix = tuple(column.name for column in own) if numeric and n_matrix > 1 else ()

    def rows(self, tensors: Sequence[Tensor], identity: Identity) -> Rows:
        """Raises RequestError."""
        if len(tensors) == 1 and self._is_matrix(tensors[0]):
            n, given = self._of_matrix(tensors[0])
        else:
            n, given = self._of_columns(tensors)
        ids = _identified(identity.ids, "parameters.prediction_ids", n, unique=True)
        keys = _identified(identity.keys, "parameters.keys", n, unique=False)
        columns = self._checked(given, n)
        brought = {name: _count(columns.pop(name)) for name in self._tolerated.intersection(columns)} if self._tolerated else {}
        rounded = {name: kind for name, (kind, values) in given.items() if kind in NARROW and isinstance(values, np.ndarray)}
        counts = {name: count for name, count in brought.items() if count}
        return Rows(n, columns, ids, keys, brought=counts or None, rounded=rounded or None)

    def pieced(self, tensor: Tensor, before: Collection[str], most_values: int) -> PiecedColumn | PiecedMatrix:
        """What takes the values of a tensor's list piece by piece, and is its `data` then. `before`: names of those that came before it; `most_values`:
        more cannot come, whatever its shape says: memory is for what comes."""
        n = tensor.shape[0] if tensor.shape else 0
        sound = 0 <= n <= self._max_rows
        if not before and self._is_matrix(tensor):
            sound, most = sound and tensor.datatype in NUMERIC, most_values // len(self._matrix)
            return PiecedMatrix([
                PiecedColumn(self._checks[name] if sound else None, tensor.datatype, n, most) for name in self._matrix
            ])  # fmt: skip
        check = self._checks.get(tensor.name) if tensor.name not in before else None
        taken = sound and check is not None and tensor.datatype in ACCEPTED[check.column.type]
        return PiecedColumn(check if taken else None, tensor.datatype, n, most_values)

    def _is_matrix(self, tensor: Tensor) -> bool:
        return (
            bool(self._matrix)
            and tensor.name not in self._checks
            and len(tensor.shape) == 2
            and tensor.shape[1] == len(self._matrix)
        )

    def _of_matrix(self, tensor: Tensor) -> tuple[int, Given]:
        if tensor.datatype not in NUMERIC:
            raise RequestError([Fault("inputs[0].datatype", shown(tensor.datatype), " or ".join(sorted(NUMERIC)))])
        n, width = counted(tensor.shape[0], self._max_rows), len(self._matrix)
        data = tensor.data
        if isinstance(data, PiecedMatrix):
            if data.n_values != n * width:
                raise RequestError([_other_number(0, tensor)])
            return n, {name: (tensor.datatype, column) for name, column in zip(self._matrix, data.columns, strict=True)}
        if isinstance(data, list) and len(data) == n and all(isinstance(each, list) for each in data):
            if any(len(each) != width for each in data):
                raise RequestError([Fault("inputs[0].data", "rows of another width", f"{width} values in each")])
            tensor.data = list(chain.from_iterable(data))
        values = _values(0, tensor, n * width)
        if isinstance(values, Fault):
            raise RequestError([values])
        if isinstance(values, list):
            return n, {name: (tensor.datatype, values[at::width]) for at, name in enumerate(self._matrix)}
        table = np.ascontiguousarray(values.reshape(n, width).T)
        return n, {name: (tensor.datatype, table[at]) for at, name in enumerate(self._matrix)}

    def _of_columns(self, tensors: Sequence[Tensor]) -> tuple[int, Given]:
        given: Given = {}
        faults: list[Fault] = []
        for at, tensor in enumerate(tensors):
            if len(faults) >= MAX_FAULTS:
                break
            if tensor.name not in self._checks:
                if self._refuse_extra:
                    faults.append(Fault(f"inputs[{at}].name", shown(tensor.name), A_COLUMN))
                continue
            if tensor.name in given:
                faults.append(Fault(f"inputs[{at}].name", f"{shown(tensor.name)} twice", "each column once"))
                continue
            found = self._of_column(at, tensor)
            if isinstance(found, Fault):
                faults.append(found)
            else:
                given[tensor.name] = tensor.datatype, found
        lengths = {name: len(values) for name, (_, values) in given.items()}
        if not faults and len(set(lengths.values())) > 1:
            few, many = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
            words = f"{lengths[few]} values of {few} and {lengths[many]} of {many}"
            faults.append(Fault("inputs", words, "one value a row in every column"))
        if faults:
            said = max((tensor.shape[0] for tensor in tensors if tensor.shape), default=1)
            raise RequestError(faults[:MAX_FAULTS], rows=min(max(said, 1), self._max_rows))
        return counted(next(iter(lengths.values()), 0), self._max_rows), given

    def _of_column(self, at: int, tensor: Tensor) -> Values | PiecedColumn | Fault:
        accepted = ACCEPTED[self._checks[tensor.name].column.type]
        if tensor.datatype not in accepted:
            return Fault(f"inputs[{at}].datatype", shown(tensor.datatype), " or ".join(sorted(accepted)), column=tensor.name)
        shape = tensor.shape
        if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
            hint = f" as data has {len(tensor.data)} values" if isinstance(tensor.data, list | PiecedColumn) else ""
            return Fault(f"inputs[{at}].shape", str(shape)[:80], f"[rows] or [rows, 1]{hint}")
        if shape[0] > self._max_rows:
            return Fault(f"inputs[{at}].shape", str(shape)[:80], f"at most {self._max_rows} rows in a request")
        if isinstance(tensor.data, PiecedColumn):
            return tensor.data if len(tensor.data) == shape[0] else _other_number(at, tensor)
        return _values(at, tensor, shape[0])

    def _checked(self, given: Given, n: int) -> dict[str, Array]:
        faults: list[Fault] = []
        columns: dict[str, Array] = {}
        absent: dict[bool, Array] = {}
        for name, check in self._checks.items():
            if name not in given and name in self._tolerated:
                continue
            if name not in given:
                columns[name] = check.absent(n, faults, absent)
            else:
                columns[name] = _column(check, *given[name], faults)
            if len(faults) >= MAX_FAULTS:
                break
        if faults:
            raise RequestError(faults[:MAX_FAULTS], rows=n)
        return columns


def _identified(given: Any, path: str, n: int, *, unique: bool) -> list[str] | None:
    """Raises RequestError; of a text that is too long for `n` of them before it is read: a million take a third of a second."""
    if isinstance(given, str):
        if len(given) > (n + 1) * _MOST_WRITTEN * MAX_ID_CHARACTERS:
            raise RequestError([Fault(path, f"{len(given)} characters", f"{n} strings, one a row")], rows=n)
        try:
            given = msgspec.json.decode(given.encode("utf-8", "surrogatepass"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RequestError([Fault(path, shown(given), 'a list of strings, or one as JSON: ["a", "b"]')]) from None
    return checked_ids(given, path, n, unique=unique)


def _count(values: Array) -> int:
    """Those that are not missing."""
    return int((values != "").sum() if values.dtype == object else values.size - np.isnan(values).sum())


def _column(check: ColumnCheck, datatype: str, values: Values | PiecedColumn, faults: list[Fault]) -> Array:
    if isinstance(values, PiecedColumn):
        faults += values.faults
        return values.array
    if not isinstance(values, list):
        return check.numbers(values, datatype, faults)
    if values and isinstance(values[0], bytes):
        return check.texts(values, faults)
    return check.listed(values, datatype, faults)


def _values(at: int, tensor: Tensor, n: int) -> Values | Fault:
    """`n` values, or what is wrong with their number."""
    data = tensor.data
    if isinstance(data, memoryview):
        return decoded(tensor.datatype, data, n, f"inputs[{at}].data")
    if not isinstance(data, list | np.ndarray):
        return Fault(f"inputs[{at}].data", shown(data), "a list of values, or binary_data_size among its parameters")
    if len(data) != n:
        return _other_number(at, tensor)
    if n and isinstance(data[0], list):  # [n, 1] may be nested: [[1], [2]]
        return [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    return data


def _other_number(at: int, tensor: Tensor) -> Fault:
    return Fault(f"inputs[{at}].shape", str(tensor.shape)[:80], f"a shape of {len(tensor.data)} values, as data has")
