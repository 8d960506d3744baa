"""The protocol's infer over gRPC: from its message to rows, from an answer to its message. Raw tensors in, raw tensors out; so with typed contents."""

from collections.abc import Mapping
from itertools import islice
from math import prod
from typing import Any

import msgspec
import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.batches import Answer
from flyball.gateway.openinference import answers
from flyball.gateway.openinference.asking import MAX_OUTPUTS, InferRequest, identity, refuse_elsewhere, refuse_many, wanted
from flyball.gateway.openinference.wire import MAX_DIMENSIONS, MAX_PARAMETERS, MAX_TEXTS
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.datatypes import LAYOUT
from flyball.gateway.tensors.reader import Tensor

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""FP16 and BF16 have none: they come raw."""

_WIDE = {"int_contents": "i4", "uint_contents": "u4"}
"""A field's own type is wider than some datatypes that it holds; a value beyond the datatype must be seen and not wrapped."""

_PIECE = 4096
"""Values, in a fifth of a millisecond."""


def read_infer(live: LiveRoute, message: Any) -> InferRequest:
    """Raises RequestError. `parameters` as over REST; `keys` and `prediction_ids` are lists written as JSON. Lengths are looked at before what they
    are of: that costs nothing, whatever is sent."""
    raw, inputs = message.raw_input_contents, message.inputs
    if raw and len(raw) != len(inputs):
        raise RequestError([Fault("raw_input_contents", f"{len(raw)} tensors", f"{len(inputs)}, one an input, or none")])
    refuse_many(len(inputs))
    _refuse_more("outputs", len(message.outputs), MAX_OUTPUTS)
    parameters = _plain("parameters", message.parameters)
    tensors: list[Tensor] = []
    for at, each in enumerate(inputs):
        if each.parameters:
            refuse_elsewhere(f"inputs[{at}]", _plain(f"inputs[{at}].parameters", each.parameters))
        if raw and each.HasField("contents"):
            raise RequestError([Fault(f"inputs[{at}].contents", "contents beside raw_input_contents", "one of the two")])
        _refuse_more(f"inputs[{at}].shape", len(each.shape), MAX_DIMENSIONS)
        data = memoryview(raw[at]) if raw else _typed(f"inputs[{at}]", each)
        tensors.append(Tensor(each.name, each.datatype, list(each.shape), data))
    asked = [(each.name, _plain(f"outputs[{at}].parameters", each.parameters)) for at, each in enumerate(message.outputs)]
    outputs = dict.fromkeys(wanted(asked, live.signature, as_bytes=bool(raw)), bool(raw))
    return InferRequest(live.tensors.rows(tensors, identity(parameters)), message.id or None, outputs)


def fill_response(message: Any, live: LiveRoute, request: InferRequest, answer: Answer) -> None:
    message.model_name = live.model
    message.model_version = answers.version_of(answer)
    if request.id is not None:
        message.id = request.id
    for name, value in answers.parameters(live, request, answer).items():
        message.parameters[name].string_param = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    for output in answers.outputs(live, request, answer):
        tensor = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        if output.binary:
            message.raw_output_contents.append(output.as_bytes())
        elif output.datatype == "BYTES":
            tensor.contents.bytes_contents.extend(text.encode() for text in output.data)
        else:
            tensor.contents.fp64_contents.extend(output.data)


def _refuse_more(path: str, count: int, most: int) -> None:
    """Raises RequestError."""
    if count > most:
        raise RequestError([Fault(path, f"{count} of them", f"at most {most}")])


def _plain(path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_more(path, len(parameters), MAX_PARAMETERS)
    chosen = {name: (value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}
    return {name: getattr(value, choice) for name, (value, choice) in chosen.items() if choice is not None}


def _typed(path: str, tensor: Any) -> Any:
    """The values of a tensor's contents, as an array or as a list of bytes."""
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        if tensor.datatype in LAYOUT:
            raise RequestError([Fault(f"{path}.contents", "nothing that holds " + tensor.datatype, "raw_input_contents")])
        return []  # of no datatype: the reader says so, where it matters
    others = [each.name for each, _ in tensor.contents.ListFields() if each.name != field]
    if others:
        raise RequestError([Fault(f"{path}.contents", others[0], f"{field}, as {tensor.datatype} has")])
    values = getattr(tensor.contents, field)
    n, dtype = len(values), _WIDE.get(field, LAYOUT.get(tensor.datatype))
    if n != prod(tensor.shape):
        return np.broadcast_to(np.zeros(1), n)  # only their number will be looked at, and told
    if field == "bytes_contents":
        _refuse_more(f"{path}.contents", n, MAX_TEXTS)
        return list(values)
    return np.fromiter(values, dtype=dtype, count=n) if n <= _PIECE else _in_pieces(values, n, dtype)


def _in_pieces(values: Any, n: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Between two pieces other threads have their turn, of which the event loop is one."""
    left, array = iter(values), np.empty(n, dtype=dtype)
    for start in range(0, n, _PIECE):
        piece = islice(left, _PIECE)
        array[start : start + _PIECE] = np.fromiter(piece, dtype=dtype, count=min(_PIECE, n - start))
    return array
