"""The protocol over REST: JSON, and behind it, where a header says how long the JSON is, tensors as bytes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.errors import Fault, RequestError
from flyball.gateway.answering import Answer
from flyball.gateway.fields import shown
from flyball.gateway.openinference import answers
from flyball.gateway.openinference.asking import InferRequest, identity, refuse_elsewhere, wanted
from flyball.gateway.problems import Headers, Response, json_response
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.reader import Tensor
from flyball.gateway.validation import MAX_FAULTS, parsed_json

LENGTH_HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"

MAX_INPUTS = 10_000
"""No model has so many columns."""

_decoder = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode

_REQUEST_FIELDS = frozenset({"id", "inputs", "outputs", "parameters"})


def read_infer(live: LiveRoute, body: bytes, json_length: bytes | None) -> InferRequest:
    """`json_length`: the header's value. Raises RequestError. `parameters.keys` and `parameters.prediction_ids` are strings, one a row."""
    head, tail = _parted(body, json_length)
    form = parsed_json(head, _decoder)
    if not isinstance(form, dict) or not isinstance(form.get("inputs"), list):
        raise RequestError([Fault("inputs", shown(form), "an object with a list of inputs")])
    parameters = _parameters(form)
    as_bytes = parameters.get("binary_data_output", False)
    if not isinstance(as_bytes, bool):
        raise RequestError([Fault("parameters.binary_data_output", shown(as_bytes), "true or false")])
    asked = form.get("outputs") or []
    if not isinstance(asked, list):
        raise RequestError([Fault("outputs", shown(asked), "a list of outputs")])
    named = [(each.get("name"), each.get("parameters") or {}) if isinstance(each, dict) else (each, {}) for each in asked]
    outputs = wanted(named, live.signature, as_bytes=as_bytes)
    rows = live.tensors.rows(_tensors(form["inputs"], tail), identity(parameters))
    return InferRequest(rows, form.get("id"), outputs)


def infer_response(live: LiveRoute, request: InferRequest, answer: Answer, headers: Headers) -> Response:
    document: dict[str, Any] = {
        "model_name": live.model,
        "model_version": answers.version_of(answer),
        "parameters": answers.parameters(answer),
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


def _parted(body: bytes, json_length: bytes | None) -> tuple[bytes | memoryview, memoryview]:
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


def _parameters(form: dict[str, Any]) -> dict[str, Any]:
    faults = [
        Fault(str(name)[:100], "an unknown field", ", ".join(sorted(_REQUEST_FIELDS)))
        for name in form
        if name not in _REQUEST_FIELDS
    ]
    if not isinstance(form.get("id"), str | None):
        faults.append(Fault("id", shown(form["id"]), "a string"))
    parameters = form.get("parameters") or {}
    if not isinstance(parameters, dict):
        faults.append(Fault("parameters", shown(parameters), "an object"))
    if faults:
        raise RequestError(faults[:MAX_FAULTS])
    return dict(parameters)


def _tensors(inputs: list[Any], tail: memoryview) -> list[Tensor]:
    """Binary ones take their bytes from `tail` in their order; all of it must be taken."""
    if len(inputs) > MAX_INPUTS:
        raise RequestError([Fault("inputs", f"{len(inputs)} inputs", f"at most {MAX_INPUTS}")])
    tensors: list[Tensor] = []
    taken = 0
    for at, each in enumerate(inputs):
        path = f"inputs[{at}]"
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str):
            raise RequestError([Fault(path, shown(each), "an object with name, shape, datatype, data")])
        data = each.get("data")
        size = _binary_size(path, each.get("parameters") or {})
        if size is not None:
            if data is not None:
                raise RequestError([Fault(path, "data and binary_data_size", "one of them")])
            if size > len(tail) - taken:
                found, left = f"{size} bytes", f"at most the {len(tail) - taken} that follow"
                raise RequestError([Fault(f"{path}.parameters.binary_data_size", found, left)])
            data = tail[taken : taken + size]
            taken += size
        tensors.append(Tensor(path, name, each.get("datatype"), each.get("shape"), data))
    if taken != len(tail):
        raise RequestError([Fault("body", f"{len(tail)} bytes behind the JSON", f"{taken}, the sum of binary_data_size")])
    return tensors


def _binary_size(path: str, parameters: Any) -> int | None:
    """None: the values are JSON."""
    if not isinstance(parameters, Mapping):
        raise RequestError([Fault(f"{path}.parameters", shown(parameters), "an object")])
    refuse_elsewhere(path, parameters)
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise RequestError([Fault(f"{path}.parameters.binary_data_size", shown(size), "a number of bytes")])
    return size
