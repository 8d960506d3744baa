"""The protocol's answer over REST: JSON, and behind it the outputs that were asked for as bytes. Worded slice by slice where it is large."""

from typing import Any

import msgspec

from flyball.gateway.batches import Answer
from flyball.gateway.large import LARGE_ROWS, ArrayRows
from flyball.gateway.openinference import answers
from flyball.gateway.openinference.asking import InferRequest
from flyball.gateway.pieces import Pieces
from flyball.gateway.problems import JSON, Headers, Response, json_response
from flyball.gateway.tables import LiveRoute

LENGTH_HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"

_encode = msgspec.json.Encoder().encode


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


class Wording:
    """A large answer, while its slices come: byte for byte what `infer_response` would say of all of them."""

    def __init__(self, live: LiveRoute, request: InferRequest) -> None:
        self._live = live
        self._request = request
        self._rows = ArrayRows(request.rows)
        self._n = 0
        self._ids, self._flags = Pieces(b","), Pieces(b",")
        self._data = {name: Pieces(b"" if binary else b",") for name, binary in request.outputs.items()}
        self._kinds: dict[str, answers.Output] = {}
        self._said_by: list[str] = []
        """One a row."""
        self._units: dict[str, None] = {}
        self._version = self.first_id = ""

    def add(self, answer: Answer) -> None:
        """The next rows'."""
        first, self._n = self._n, self._n + len(answer.ids)
        self._version = self._version or answers.version_of(answer)
        self.first_id = self.first_id or answer.ids[0]
        self._ids.add(_items(answer.ids))
        said_by = [unit.id for unit in answer.units]
        self._said_by += said_by
        self._units |= dict.fromkeys(said_by)
        if self._live.reader.flagging:
            flags = self._live.reader.flags(self._rows.rows(first, self._n))
            if flags:
                self._flags.add(_items([{"row": first + row, **flag} for row, said in sorted(flags.items()) for flag in said]))
        for output in answers.outputs(self._live, self._request, answer):
            self._kinds[output.name] = output._replace(data=[])
            self._data[output.name].add(output.as_bytes() if output.binary else _items(output.data))

    def response(self, headers: Headers) -> Response:
        """When all are there."""
        flags = self._flags.taken()
        request_id = [b',"id":', _encode(self._request.id)] if self._request.id is not None else []
        named = _encode({"model_name": self._live.model, "model_version": self._version})[:-1]
        head = [named + b',"parameters":{"prediction_ids":[', *self._ids.taken(), b"],", *self._who()]
        head += [*([b',"flags":[', *flags, b"]"] if flags else []), b"}", *request_id, b',"outputs":[']
        tail: list[bytes] = []
        for at, (name, output) in enumerate(self._kinds.items()):
            data = self._data[name].taken()
            described = _encode({"name": name, "datatype": output.datatype, "shape": [self._n, output.shape[1]]})[:-1]
            head.append(b"," + described if at else described)
            if output.binary:
                head.append(b',"parameters":{"binary_data_size":%d}}' % sum(map(len, data)))
                tail += data
            else:
                head += [b',"data":[', *data, b"]}"]
        head.append(b"]}")
        if not tail:
            return Response(200, head, JSON, headers)
        return Response(200, head + tail, BINARY, [*headers, (LENGTH_HEADER, str(sum(map(len, head))).encode())])

    @property
    def units(self) -> list[str]:
        """Who answered, in the order of their first rows."""
        return list(self._units)

    def _who(self) -> list[bytes]:
        units = self.units
        if len(units) == 1:
            return [b'"unit":' + _encode(units[0])]
        listed = Pieces(b",")
        for start in range(0, self._n, LARGE_ROWS):
            listed.add(_items(self._said_by[start : start + LARGE_ROWS]))
        return [b'"units":[', *listed.taken(), b"]"]


def _items(values: list[Any]) -> bytes:
    """Of a list in JSON, without the brackets around them."""
    return _encode(values)[1:-1]
