"""Requests of thousands of rows: answered slice by slice, so that neither the memory nor the other clients notice.

Two passes. The first checks and scores every row and keeps the scores alone: a fault in the last row refuses the request as if it had been in the
first, and nothing was handed over. The second makes the rows anew, hands over and tells.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, Self

import msgspec
import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.answering import Answered, Part, Scored
from flyball.gateway.validation import Body, RowReader, Rows, checked_ids, counted

LARGE_BYTES = 128 * 1024
"""A body from this size on is read in slices: some thousand rows, and less than a millisecond where it is not worth it."""
LARGE_ROWS = 1000
"""As many, where they came as tensors: bytes are a fifth of what the same rows take as JSON."""
PIECE_BYTES = 32 * 1024
"""Of a body, looked through between two turns: some ten microseconds."""
SLICE_ROWS = 64
"""Worked on between two turns of the event loop, a fifth of a millisecond: what another client waits longer at most."""
SLICE_ROWS_BESIDE = 1024
"""Of a model that is asked beside the loop: each call costs a thread's turn, or a message to another process."""


class Sliced(Protocol):
    """The rows of one large request."""

    n: int

    def rows(self, start: int, stop: int) -> Rows:
        """Some of them, checked; raises RequestError with the number of the row in the request. May be asked twice."""
        ...


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[msgspec.Raw]
    ids: list[str] | None = None
    keys: list[str] | None = None
    explain: bool = False


class _End(msgspec.Struct, forbid_unknown_fields=True):
    """What follows the last cut: under a name of its own, since a second `rows` would be another one's."""

    last: list[msgspec.Raw]
    ids: list[str] | None = None
    keys: list[str] | None = None
    explain: bool = False


_skeleton = msgspec.json.Decoder(_Form)
_end = msgspec.json.Decoder(_End)
_listed = msgspec.json.Decoder(list[msgspec.Raw])

_OPENING = re.compile(rb'\s*\{\s*"rows"\s*:\s*\[\s*(?=\{)')
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")


class PlainBody:
    """A body in the plain form. Its rows stay bytes until their slice is due."""

    @classmethod
    async def opened(cls, body: Body, reader: RowReader, max_rows: int) -> Self:
        """Found piece by piece, with turns of the event loop between. Raises RequestError."""
        form = await _in_pieces(body) if isinstance(body, bytearray) else None
        if form is None:
            try:
                form = _skeleton.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise _refusal(body, reader) from None
        return cls(form, body, reader, max_rows)

    def __init__(self, form: _Form, body: Body, reader: RowReader, max_rows: int) -> None:
        """Raises RequestError."""
        if form.explain:
            raise RequestError([Fault("body", f"{len(body)} bytes", f"less than {LARGE_BYTES} in a request with explain")])
        self.n = counted(len(form.rows), max_rows)
        self._raws = form.rows
        self._reader = reader
        self._quick = b"\\" not in body or b"\\u0000" not in body  # one byte is found twenty times as fast as six
        self._ids = checked_ids(form.ids, "ids", self.n, unique=True)
        self._keys = checked_ids(form.keys, "keys", self.n, unique=False)

    def rows(self, start: int, stop: int) -> Rows:
        tuples = self._reader.read_raw(self._raws[start:stop], start, quick=self._quick)
        ids = self._ids[start:stop] if self._ids is not None else None
        keys = self._keys[start:stop] if self._keys is not None else None
        return Rows(len(tuples), {}, ids, keys, tuples)


class ArrayRows:
    """Rows that came as arrays, or that are checked already."""

    def __init__(self, rows: Rows) -> None:
        self.n = rows.n
        self._rows = rows

    def rows(self, start: int, stop: int) -> Rows:
        whole, part = self._rows, slice(start, stop)
        return Rows(
            min(stop, self.n) - start,
            {name: values[part] for name, values in whole.columns.items()},
            whole.ids[part] if whole.ids is not None else None,
            whole.keys[part] if whole.keys is not None else None,
            whole.tuples[part] if whole.tuples is not None else None,
        )


async def _in_pieces(body: bytearray) -> _Form | None:
    """The rows of an ordinary body; None: look at the whole of it.

    A body is cut where one object seems to end and the next to begin. A cut within a string, or within an object, leaves a piece that is no list:
    so a list that can be read is cut rightly. The two bytes around a piece become its brackets for a moment, since a copy would double the body.
    """
    opening = _OPENING.match(body)
    if opening is None:
        return None
    rows: list[msgspec.Raw] = []
    whole, start = memoryview(body), opening.end()
    try:
        while (cut := _BETWEEN.search(body, start + PIECE_BYTES)) is not None:
            stop = cut.start() + 1
            around = body[start - 1], body[stop]
            body[start - 1], body[stop] = b"[]"
            try:
                rows += _listed.decode(whole[start - 1 : stop + 1])
            finally:
                body[start - 1], body[stop] = around
            start = cut.end()
            await asyncio.sleep(0)
        end = _end.decode(b'{"last":[' + body[start:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _Form([*rows, *end.last], end.ids, end.keys, end.explain)


def _refusal(body: Body, reader: RowReader) -> RequestError:
    """What is wrong with a body whose frame cannot be read, in the careful way's words."""
    try:
        reader.read_carefully(reader.parsed(body))
    except RequestError as wrong:
        return wrong
    return RequestError([Fault("body", "JSON that cannot be read in slices", "strict JSON")])


def slices(n: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each."""
    return ((start, min(start + size, n)) for start in range(0, n, size))


class Kept(NamedTuple):
    """What is remembered of a slice between the passes: some bytes a row."""

    start: int
    stop: int
    ids: list[str]
    at_us: int
    answered: Answered

    def again(self) -> Answered:
        """With the scores as lists, for the second pass."""
        return _with_scores(self.answered, lambda scores: scores.tolist())


def kept(span: tuple[int, int], ids: list[str], at_us: int, answered: Answered) -> Kept:
    """Lists of floats cost some hundred bytes a row, arrays eight a score."""
    light = _with_scores(answered, lambda scores: np.asarray(scores, dtype=np.float64))
    parts = [(part, scored._replace(table=None)) for part, scored in light.parts]
    return Kept(*span, ids, at_us, light._replace(parts=parts))


def _with_scores(answered: Answered, change: Callable[[Any], Any]) -> Answered:
    parts: list[tuple[Part, Scored]] = []
    for part, scored in answered.parts:
        parts.append((part, scored._replace(scores=change(scored.scores))))
    if len(parts) == 1 and parts[0][0].rows is None:
        return answered._replace(scores=parts[0][1].scores, parts=parts)
    return answered._replace(scores=change(answered.scores), parts=parts)
