"""The JSON of a large request, read in pieces with turns of the event loop between: read at once it takes eight times its size, and everybody waits.

Where a list of values ends, and where it may be cut, is guessed by a pattern and proven by reading. A text that can be read as a list, once brackets
stand around it, was cut between two values of that list: within a string or an inner list the closing bracket would not close it.
Whatever is unusual is left to those who read the whole.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from flyball.gateway.fields import NoNumber
from flyball.gateway.json_faults import with_no_numbers
from flyball.gateway.openinference.asking import refuse_many
from flyball.gateway.tensors.pieced import PiecedColumn, PiecedMatrix
from flyball.gateway.tensors.reader import Tensor, TensorReader

PIECE_BYTES = 16 * 1024
"""Of a list, read between two turns: a tenth of a millisecond."""
LOOK_BYTES = 64 * 1024
"""Of a list, searched for its end between two turns."""
HEAD_BYTES = 4096
"""Of a tensor, before its values, and behind them."""

Pause = Callable[[], Awaitable[None]]


class Around(msgspec.Struct, forbid_unknown_fields=True):
    """What a request says before its inputs, or behind them."""

    here: list[int]
    """Stands in the place of the inputs, under a name of its own: where `inputs` come twice, it is not for us to choose."""
    id: str | UnsetType | None = UNSET
    model_name: str | UnsetType | None = UNSET
    outputs: list[Any] | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType | None = UNSET

    def and_behind(self, behind: "Around") -> dict[str, Any] | None:
        """Both together; None: a name came twice."""
        said = [{name: getattr(each, name) for name in _BESIDE if getattr(each, name) is not UNSET} for each in (self, behind)]
        return None if said[0].keys() & said[1].keys() else said[0] | said[1]


_BESIDE = ("id", "model_name", "outputs", "parameters")


class _Kind(NamedTuple):
    """Of values. Group 1: the comma at which their list may be cut, the bracket that ends it."""

    cut: re.Pattern[bytes]
    end: re.Pattern[bytes]


_around = msgspec.json.Decoder(Around)
_tensor = msgspec.json.Decoder(Tensor)
_listed = msgspec.json.Decoder(list[Any])

_INPUTS = re.compile(rb'"inputs"\s*:\s*\[\s*(?=\{)')
_DATA = re.compile(rb'"data"\s*:\s*\[')
_NEXT = re.compile(rb"\s*,\s*(?=\{)")
_LAST = re.compile(rb"\s*\]")
_FIRST = re.compile(rb'\s*(?:null\s*,\s*){0,500}(["\[]?)')
_KINDS = {
    b"": _Kind(re.compile(rb"(,)"), re.compile(rb"(\])")),
    b'"': _Kind(re.compile(rb'(?:(?<!\\)"|null)\s*(,)(?=\s*["n])'), re.compile(rb'(?:(?<!\\)"|null)\s*(\])(?=\s*[,}])')),
    b"[": _Kind(re.compile(rb"\]\s*(,)"), re.compile(rb"\]\s*(\])")),
}


async def in_pieces(body: bytearray, reader: TensorReader, pause: Pause) -> tuple[dict[str, Any], list[Tensor]] | None:
    """What an ordinary body says beside its inputs, and these with their values taken; None: look at the whole of it. `pause` gives the others
    their turn. Raises RequestError for more inputs than there may be."""
    opening = _INPUTS.match(body, max(body.find(b'"inputs"'), 0))
    if opening is None:
        return None
    tensors: list[Tensor] = []
    names: set[str] = set()
    at = opening.end()
    try:
        before = _around.decode(body[: opening.start()] + b'"here":[]}')
        while (listed := await _next(body, at, pause)) is not None:
            tensor = listed.tensor
            tensor.data = reader.pieced(tensor, names, listed.most_values)
            if not await _taken(body, listed, tensor.data, pause):
                return None
            tensors.append(tensor)
            names.add(tensor.name)
            refuse_many(len(tensors))
            await pause()  # tensors without values are read as well
            following = _NEXT.match(body, listed.behind)
            if following is None:
                last = _LAST.match(body, listed.behind)
                behind = _around.decode(b'{"here":[]' + body[last.end() :]) if last is not None else None
                beside = before.and_behind(behind) if behind is not None else None
                return None if beside is None else (beside, tensors)
            at = following.end()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return None


class _Listed(NamedTuple):
    """A tensor whose values were found, not read."""

    tensor: Tensor
    start: int
    """Of its values."""
    end: int
    kind: _Kind
    behind: int
    """Where the tensor itself ends."""

    @property
    def most_values(self) -> int:
        """No more can come, whatever its shape says: each takes a byte, and a comma."""
        return (self.end - self.start + 1) // 2


async def _next(body: bytearray, start: int, pause: Pause) -> _Listed | None:
    """The tensor that begins there."""
    data = _DATA.search(body, start, start + HEAD_BYTES)
    first = _FIRST.match(body, data.end()) if data is not None else None
    if data is None or first is None:
        return None
    kind = _KINDS[first[1]]
    end = await _end(body, data.end(), kind, pause)
    found = _without_values(body, start, data.end(), end) if end is not None else None
    return None if end is None or found is None else _Listed(found[0], data.end(), end, kind, found[1])


async def _taken(body: bytearray, listed: _Listed, taking: PiecedColumn | PiecedMatrix, pause: Pause) -> bool:
    """Whether its values could be read in pieces; then they were."""
    begin, end = listed.start, listed.end
    while begin < end:
        cut = listed.kind.cut.search(body, begin + PIECE_BYTES, end)
        values = _values(b"[" + body[begin : end if cut is None else cut.start(1)] + b"]")
        # A list of nothing is the whole of it, or there are two commas one after another, or one at the end.
        if values is None or not (values or (cut is None and begin == listed.start)) or not taking.add(values):
            return False
        begin = end if cut is None else cut.end(1)
        await pause()
    return True


def _values(piece: bytes) -> list[Any] | None:
    """None: it is no list. What is written where JSON has no such number is one of the values, so that its row is told."""
    try:
        return _listed.decode(piece)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = with_no_numbers(piece)
        return values if isinstance(values, list) and any(isinstance(each, NoNumber) for each in _flat(values)) else None


def _flat(values: list[Any]) -> Iterator[Any]:
    for each in values:
        yield from each if isinstance(each, list) else (each,)


async def _end(body: bytearray, start: int, kind: _Kind, pause: Pause) -> int | None:
    """Where the list that begins there seems to end."""
    while start < len(body):
        found = kind.end.search(body, start, start + LOOK_BYTES)
        if found is not None:
            return found.start(1)
        start += LOOK_BYTES - 64  # what is looked for may lie across
        await pause()
    return None


def _without_values(body: bytearray, start: int, opened: int, end: int) -> tuple[Tensor, int] | None:
    """The tensor whose list lies between, its `data` empty, and where it ends."""
    head = body[start:opened]
    close = end
    while (close := body.find(b"}", close + 1, end + HEAD_BYTES)) >= 0:
        text = head + body[end : close + 1]
        try:
            tensor = _tensor.decode(text)
        except msgspec.DecodeError:
            continue  # the end of an object inside it
        # A name may be written in other ways, and `data` come twice.
        ordinary = b"\\" not in text and text.count(b'"data"') == 1 and tensor.data == []
        return (tensor, close + 1) if ordinary else None
    return None
