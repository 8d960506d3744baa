"""The protocol over REST: JSON, and behind it, where a header says how long the JSON is, tensors as bytes."""

from itertools import islice
from typing import Any

import msgspec

from flyball.errors import Fault, RequestError
from flyball.gateway.batches import Answer
from flyball.gateway.fields import shown
from flyball.gateway.openinference import answers
from flyball.gateway.openinference.asking import InferRequest, identity, refuse_elsewhere, wanted
from flyball.gateway.openinference.forms import form_faults
from flyball.gateway.openinference.metadata import MAX_INPUTS
from flyball.gateway.problems import Headers, Response, json_response
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.reader import Tensor
from flyball.gateway.validation import MAX_FAULTS, Body, parsed_json

LENGTH_HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"

_encode = msgspec.json.Encoder().encode


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
    form = _form(head)
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


def infer_response(live: LiveRoute, request: InferRequest, answer: Answer, headers: Headers) -> Response:
    document: dict[str, Any] = {
        "model_name": live.model,
        "model_version": answers.version_of(answer),
        "parameters": answers.parameters(live, request, answer),
    }
    if request.id is not None:
        document["id"] = request.id
    tail: list[bytes] = []
    described: list[dict[str, Any]] = []
    for output in answers.outputs(live, request, answer):
        one: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if output.binary:
            tail.append(output.as_bytes())
            one["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            one["data"] = output.data
        described.append(one)
    document["outputs"] = described
    if not tail:
        return json_response(document, headers=headers)
    head = _encode(document)
    return Response(200, b"".join((head, *tail)), BINARY, [*headers, (LENGTH_HEADER, str(len(head)).encode())])


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
        form = _quick.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        faults = list(islice(form_faults(parsed_json(head, _careful)), MAX_FAULTS))
        raise RequestError(faults) from None
    if len(form.inputs) > MAX_INPUTS:
        raise RequestError([Fault("inputs", f"{len(form.inputs)} inputs", f"at most {MAX_INPUTS}")])
    return form


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
