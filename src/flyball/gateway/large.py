"""Requests of thousands of rows: answered slice by slice, so that neither the memory nor the other clients notice.

Two passes. The first checks and scores every row and keeps the scores alone: a fault in the last row refuses the request as if it had been in the
first, and nothing was handed over. The second makes the rows anew, hands over and tells.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import msgspec
import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.answering import Answered, gathered
from flyball.gateway.careful import carefully
from flyball.gateway.json_faults import count_colons, refuse_repeats
from flyball.gateway.parts import Part, Scored
from flyball.gateway.tables import LiveUnit
from flyball.gateway.validation import Body, RowReader, Rows, checked_ids, counted
from flyball.records.captured import FailureBatch

Array = np.ndarray[Any, Any]
E = TypeVar("E", bound="End")

LARGE_BYTES = 128 * 1024
"""A body from this size on is read in slices: some thousand rows, and less than a millisecond where it is not worth it."""
LARGE_ROWS = 1000
"""As many, where they came as tensors: bytes are a fifth of what the same rows take as JSON."""
LOOK_BYTES = 512 * 1024
"""Searched for one byte between two turns: as long."""
PIECE_BYTES = 32 * 1024
"""Of a body, looked through between two turns: some ten microseconds."""
SLICE_ROWS = 64
"""Worked on between two turns of the event loop, a fifth of a millisecond: what another client waits longer at most."""
SLICE_ROWS_BESIDE = 1024
"""At most, of a model that is asked beside the loop: each call costs a thread's turn, or a message to another process."""
SLICE_SHARE = 0.3
"""Of a model's deadline, that the rows of such a call should take: all others who ask the model wait for it, and one that is late costs its process."""


class Sliced(Protocol):
    """The rows of one large request."""

    n: int

    def rows(self, start: int, stop: int) -> Rows:
        """Some of them, checked; raises RequestError with the number of the row in the request. May be asked twice."""
        ...

    def release(self, start: int, stop: int) -> None:
        """They are not asked for again: a hundred thousand that are freed together keep everybody waiting."""
        ...


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[msgspec.Raw]
    ids: list[str] | None = None
    keys: list[str] | None = None
    explain: bool = False


class End(msgspec.Struct, forbid_unknown_fields=True):
    """What follows the last cut of a list: under a name of its own, since the list's own, a second time, would be another one's."""

    last: list[msgspec.Raw]


class _End(End, forbid_unknown_fields=True):
    ids: list[str] | None = None
    keys: list[str] | None = None
    explain: bool = False


_skeleton = msgspec.json.Decoder(_Form)
_end = msgspec.json.Decoder(_End)
_listed = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GONE = msgspec.Raw()

_OPENING = re.compile(rb'\s*\{\s*"rows"\s*:\s*\[\s*(?=\{)')
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")


class PlainBody:
    """A body in the plain form. Its rows stay bytes until their slice is due."""

    @classmethod
    async def opened(cls, body: Body, reader: RowReader, max_rows: int) -> Self:
        """Found piece by piece, with turns of the event loop between. Raises RequestError."""
        found = await _in_pieces(body) if isinstance(body, bytearray) else None
        if found is not None:
            form, around = found, _behind(body, found.rows[-1])
        else:
            form, around = await carefully(_of_whole, body, reader)
        await _refuse_two_lists(body, around)
        if form.explain:
            raise RequestError([Fault("body", f"{len(body)} bytes", f"less than {LARGE_BYTES} in a request with explain")])
        return cls(form, reader, max_rows, quick=not await _may_hold_nul(body))

    def __init__(self, form: _Form, reader: RowReader, max_rows: int, *, quick: bool) -> None:
        """Raises RequestError."""
        self.n = counted(len(form.rows), max_rows)
        self._raws = form.rows
        self._reader = reader
        self._quick = quick
        self._ids = checked_ids(form.ids, "ids", self.n, unique=True)
        self._keys = checked_ids(form.keys, "keys", self.n, unique=False)

    def rows(self, start: int, stop: int) -> Rows:
        try:
            rows = self._reader.read_raw(self._raws[start:stop], start, quick=self._quick)
        except RequestError as wrong:
            wrong.rows = self.n
            raise
        ids = self._ids[start:stop] if self._ids is not None else None
        keys = self._keys[start:stop] if self._keys is not None else None
        return rows._replace(ids=ids, keys=keys)

    def release(self, start: int, stop: int) -> None:
        self._raws[start:stop] = [_GONE] * (stop - start)


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
            brought=whole.brought if start == 0 else None,
            rounded=whole.rounded,
        )

    def release(self, start: int, stop: int) -> None:
        """Arrays are freed in no time."""


async def _in_pieces(body: bytearray) -> _Form | None:
    """The rows of an ordinary body; None: look at the whole of it."""
    opening = _OPENING.match(body)
    found = await objects_in_pieces(body, opening.end(), _end) if opening is not None else None
    if found is None:
        return None
    rows, end = found
    return _Form(rows, end.ids, end.keys, end.explain)


async def objects_in_pieces(body: bytearray, start: int, end: msgspec.json.Decoder[E]) -> tuple[list[msgspec.Raw], E] | None:
    """The objects of the list that begins at `start`, behind its bracket, and what follows them: `end` reads it with the last of them. None: look at
    the whole of the body.

    A body is cut where one object seems to end and the next to begin. A cut within a string, or within an object, leaves a piece that is no list:
    so a list that can be read is cut rightly. The two bytes around a piece become its brackets for a moment, since a copy would double the body.
    """
    rows: list[msgspec.Raw] = []
    whole = memoryview(body)
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
        following = end.decode(b'{"last":[' + body[start:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    rows += following.last
    return rows, following


def _of_whole(body: Body, reader: RowReader) -> tuple[_Form, bytes]:
    """The rows of any body, and all that stands around them. Raises RequestError."""
    try:
        form = _skeleton.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _refusal(body, reader) from None
    return form, _around(body, form.rows)


def _behind(body: Body, row: msgspec.Raw) -> bytes:
    """What follows the last row, behind what stood before the first: all but the rows, of a body that was found in pieces."""
    return b'{"rows":[' + body[body.rindex(row) + len(bytes(row)) :]


def _around(body: Body, rows: Sequence[msgspec.Raw]) -> bytes:
    """The same of any body: another list of rows, which was passed over, stays in it."""
    begin = stop = body.find(rows[0]) if rows else 0
    for row in rows:
        stop = body.index(row, stop) + len(bytes(row))
    return bytes(body[:begin] + body[stop:])


async def _refuse_two_lists(body: Body, around: bytes) -> None:
    """Raises RequestError for a list that comes twice: the last would be taken, in silence. Rows are looked at with their slice. What is decoded has
    a colon a name and those in its texts; there are more where a name, with what it names, was passed over."""
    try:
        named = _members.decode(around)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # what looks like a row stands in an id: look at all of it
        await carefully(refuse_repeats, body)
    else:
        if count_colons(around) != len(named) + sum(bytes(value).count(b":") for value in named.values()):
            await carefully(refuse_repeats, around)


async def _may_hold_nul(body: Body) -> bool:
    r"""Whether there is a \u0000 in it, perhaps at the end of a longer row of backslashes."""
    for start in range(0, len(body), LOOK_BYTES):
        # One byte is found twenty times as fast as six.
        if body.find(b"\\", start, start + LOOK_BYTES) >= 0 and body.find(b"\\u0000", start, start + LOOK_BYTES + 5) >= 0:
            return True
        await asyncio.sleep(0)
    return False


def _refusal(body: Body, reader: RowReader) -> RequestError:
    """What is wrong with a body whose frame cannot be read, in the careful way's words."""
    try:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            unknown = [name for name in _members.decode(body) if name not in _Form.__struct_fields__]
            if unknown:  # to say so nothing of the rows is needed
                reader.read_carefully(dict.fromkeys(unknown))
        reader.read_carefully(reader.parsed(body))
    except RequestError as wrong:
        return wrong
    return RequestError([Fault("body", "JSON that cannot be read in slices", "strict JSON")])


def slices(n: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each."""
    return ((start, min(start + size, n)) for start in range(0, n, size))


class _KeptPart(NamedTuple):
    unit: LiveUnit
    role: str
    rows: Array | None
    scores: Array
    seconds: float
    turn: int


class Kept(NamedTuple):
    """What is remembered of a slice between the passes: some tens of bytes a row, and few objects: a garbage collector that looks through all of
    a hundred thousand rows' keeps everybody waiting."""

    start: int
    stop: int
    ids: str | None
    """Joined by blanks; None: those that the rows came with."""
    at_us: int
    parts: tuple[_KeptPart, ...]
    tried: frozenset[tuple[str, int]]
    failures: tuple[FailureBatch, ...]

    @property
    def seconds(self) -> float:
        """In models."""
        return sum(part.seconds for part in self.parts)

    def again(self) -> Answered:
        """For the second pass."""
        parts = [
            (Part(unit, role, None if rows is None else rows.tolist(), turn), Scored(scores.tolist(), seconds, None))
            for unit, role, rows, scores, seconds, turn in self.parts
        ]
        return Answered(*gathered(parts, self.stop - self.start), {}, self.tried, parts, [*self.failures])


def kept(span: tuple[int, int], fresh: list[str] | None, at_us: int, answered: Answered) -> Kept:
    """Of a slice whose rows were all answered. `fresh`: its ids, if they are new."""
    parts = tuple(
        _KeptPart(
            part.unit,
            part.role,
            None if part.rows is None else np.array(part.rows, dtype=np.int32),
            np.array(scored.scores, dtype=np.float64),
            scored.seconds,
            part.turn,
        )
        for part, scored in answered.parts
    )
    ids = None if fresh is None else " ".join(fresh)
    return Kept(*span, ids, at_us, parts, answered.tried, tuple(answered.failures))
