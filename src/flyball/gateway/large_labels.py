"""Thousands of labels in one request: read slice by slice, so that other clients do not notice, and stored whole or not at all."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import msgspec

from flyball.gateway.json_faults import refuse_repeats
from flyball.gateway.large import SLICE_ROWS, End, objects_in_pieces, slices
from flyball.gateway.plain import LabelReading, may_repeat_a_name
from flyball.gateway.tables import LiveRoute
from flyball.gateway.validation import Body, counted, parsed_json
from flyball.records.captured import LabelBatch

CLOSING_BYTES = 1000
"""At the end of a body: a model's name, and blanks."""

_MODEL = rb'"model"\s*:\s*"([ !#-\[\]-~]*)"'
_OPENING = re.compile(rb"\s*\{\s*(?:" + _MODEL + rb'\s*,\s*)?"labels"\s*:\s*\[\s*(?=\{)')
_CLOSING = re.compile(rb"\]\s*(?:,\s*" + _MODEL + rb"\s*)?\}\s*\Z")


class _End(End, forbid_unknown_fields=True):
    model: str = ""


_end = msgspec.json.Decoder(_End)
_decoder = msgspec.json.Decoder()
_GONE = msgspec.Raw()


class LargeLabels:
    """A body of labels, each still bytes until its slice is due."""

    @classmethod
    async def opened(cls, body: Body, max_labels: int) -> Self | None:
        """Found piece by piece, with turns of the event loop between. None: the body is not an ordinary one, look at the whole of it. Raises
        RequestError."""
        opening, closing = _OPENING.match(body), _CLOSING.search(body, max(len(body) - CLOSING_BYTES, 0))
        if opening is None or closing is None or None not in (opening[1], closing[1]):
            return None
        found = await objects_in_pieces(body if isinstance(body, bytearray) else bytearray(body), opening.end(), _end)
        if found is None:
            return None
        counted(len(found[0]), max_labels)
        return cls(found[0], (opening[1] or closing[1] or b"").decode())

    def __init__(self, raws: list[msgspec.Raw], model: str) -> None:
        self._raws = raws
        self.model = model
        """'': none is named."""

    async def read(self, live: LiveRoute, at_us: int, pause: Callable[[], Awaitable[None]]) -> LabelBatch:
        """All of them, once; raises RequestError with the places of faults. `pause` gives the others their turn."""
        reading = LabelReading(live, at_us)
        for start, stop in slices(len(self._raws), SLICE_ROWS):
            given = _decoded(self._raws[start:stop], start)
            reading.add((f"labels[{at}].", each) for at, each in enumerate(given, start))
            self._raws[start:stop] = [_GONE] * (stop - start)  # freed now: together they would keep everybody waiting
            await pause()
        return reading.batch()


def _decoded(raws: Sequence[msgspec.Raw], first: int) -> list[Any]:
    """`first`: the number of the first one. Raises RequestError."""
    text = b"[" + b",".join(raws) + b"]"
    given: list[Any] = parsed_json(text, _decoder)
    if may_repeat_a_name(text, given):
        for at, raw in enumerate(raws, first):
            refuse_repeats(bytes(raw), f"labels[{at}]")
    return given
