"""The ceiling: the least that answers rows over HTTP with the model. No checks, no ids, no capture, no routing: not a product."""

import os
from typing import Any

import msgspec
import numpy as np
import onnxruntime

HEADERS = [(b"content-type", b"application/json")]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    os.path.join(os.environ["WORKSPACE"], "champion.onnx"), options, providers=["CPUExecutionProvider"]
)
inputs = [(each.name, object if each.type == "tensor(string)" else np.float32) for each in session.get_inputs()]
outputs = [session.get_outputs()[-1].name]
decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's own shape
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    rows = decode(body)["rows"]
    feed = {name: np.array([[row[name]] for row in rows], dtype=kind) for name, kind in inputs}
    content = encode({"predictions": session.run(outputs, feed)[0][:, 1].tolist()})
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": content})
