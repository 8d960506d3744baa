"""The protocol's requests over REST: JSON, and behind it, where a header says how long the JSON is, tensors as bytes."""

from itertools import islice
from typing import Any

import msgspec

from flyball.errors import Fault, RequestError
from flyball.gateway.careful import carefully
from flyball.gateway.fields import shown
from flyball.gateway.json_faults import with_no_numbers
from flyball.gateway.large import LARGE_BYTES
from flyball.gateway.openinference.asking import InferRequest, identity, refuse_elsewhere, refuse_many, wanted
from flyball.gateway.openinference.forms import form_faults
from flyball.gateway.openinference.reading import Pause, in_pieces
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.reader import Tensor
from flyball.gateway.validation import MAX_FAULTS, Body, parsed_json


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """A request's JSON when it is as it should be. What does not decode into it is looked at part by part, and its fault named."""

    inputs: list[Tensor]
    id: str | None = None
    model_name: str | None = None
    """KServe's client repeats it here."""
    outputs: list[Any] | None = None
    parameters: dict[str, Any] | None = None


_quick = msgspec.json.Decoder(Form)
_careful = msgspec.json.Decoder()


def read_infer(live: LiveRoute, body: Body, json_length: bytes | None) -> InferRequest:
    """`json_length`: the header's value. Raises RequestError. `parameters.keys` and `parameters.prediction_ids` are strings, one a row."""
    head, tail = _parted(body, json_length)
    try:
        form = _form(head)
    except RequestError:
        numbered = _numbered(head)
        if numbered is not None:
            _asked(live, numbered, tail)  # says which row
        raise
    return _asked(live, form, tail)


async def read_large(live: LiveRoute, body: Body, json_length: bytes | None, pause: Pause) -> InferRequest:
    """The same, with turns of the event loop between. Where it could be read in pieces, the body is empty then: its values are taken."""
    found = await in_pieces(body, live.tensors, pause) if json_length is None and isinstance(body, bytearray) else None
    if found is None and json_length is not None and json_length.isdigit() and int(json_length[:12]) < LARGE_BYTES:
        return read_infer(live, body, json_length)
    if found is None:
        return await carefully(read_infer, live, body, json_length)
    body.clear()  # type: ignore[union-attr]  # only a bytearray is read in pieces
    beside, tensors = found
    return _asked(live, Form(tensors, **beside), memoryview(b""))


def _asked(live: LiveRoute, form: Form, tail: memoryview) -> InferRequest:
    refuse_many(len(form.inputs))
    if form.model_name is not None and form.model_name != live.model:
        raise RequestError([Fault("model_name", shown(form.model_name), f"{shown(live.model)}, as the path says, or nothing")])
    parameters = form.parameters or {}
    as_bytes = parameters.get("binary_data_output", False)
    if not isinstance(as_bytes, bool):
        raise RequestError([Fault("parameters.binary_data_output", shown(as_bytes), "true or false")])
    asked = form.outputs or ()
    named = [(each.get("name"), each.get("parameters") or {}) if isinstance(each, dict) else (each, {}) for each in asked]
    outputs = wanted(named, live.signature, as_bytes=as_bytes)
    _hand_out(form.inputs, tail)
    return InferRequest(live.tensors.rows(form.inputs, identity(parameters)), form.id, outputs)


def _parted(body: Body, json_length: bytes | None) -> tuple[Body | memoryview, memoryview]:
    """(JSON, what follows it)"""
    if json_length is None:
        return body, memoryview(b"")
    given = json_length.decode("latin-1")
    length = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else 0
    if not 0 < length <= len(body):
        name = "Inference-Header-Content-Length"
        raise RequestError([Fault(name, given[:40] or "nothing", f"the length of the JSON: 1 to {len(body)}, as the body is")])
    whole = memoryview(body)
    return whole[:length], whole[length:]


def _form(head: Body | memoryview) -> Form:
    try:
        return _quick.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        faults = list(islice(form_faults(parsed_json(head, _careful)), MAX_FAULTS))
        raise RequestError(faults) from None


def _numbered(head: Body | memoryview) -> Form | None:
    """A form that is as it should be, but for numbers that JSON does not have."""
    said = with_no_numbers(bytes(head))
    try:
        return msgspec.convert(said, Form) if isinstance(said, dict) else None
    except msgspec.ValidationError:
        return None


def _hand_out(tensors: list[Tensor], tail: memoryview) -> None:
    """Binary tensors take their bytes from `tail` in their order; all of it must be taken."""
    taken = 0
    for at, tensor in enumerate(tensors):
        if not tensor.parameters:
            continue
        refuse_elsewhere(f"inputs[{at}]", tensor.parameters)
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            continue
        path, left = f"inputs[{at}].parameters.binary_data_size", len(tail) - taken
        if tensor.data is not None:
            raise RequestError([Fault(path, f"{shown(size)}, and data", "one of the two")])
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= left:
            raise RequestError([Fault(path, shown(size), f"a number of bytes: {left} follow the JSON and the tensors before")])
        tensor.data = tail[taken : taken + size]
        taken += size
    if taken != len(tail):
        raise RequestError([Fault("body", f"{len(tail)} bytes behind the JSON", f"{taken}, the sum of binary_data_size")])
