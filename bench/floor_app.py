"""`python -m bench.floor_app MODEL`: the least that answers a row over HTTP with the same model, server and settings. No checks, no ids, no capture."""

import socket
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import uvicorn
import uvloop

HEADERS = [(b"content-type", b"application/json")]


def app(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    outputs = [session.get_outputs()[-1].name]
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

    async def answer(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's own shape
        body = (await receive())["body"]
        rows = decode(body)["rows"]
        feed = {name: np.array([[row[name]] for row in rows], dtype=np.float32) for name in names}
        scores = session.run(outputs, feed)[0][:, 1].tolist()
        content = encode({"predictions": [{"score": score} for score in scores]})
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
        await send({"type": "http.response.body", "body": content})

    return answer


async def _serve(path: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app(Path(path).read_bytes()), loop="none", http="httptools", ws="none", lifespan="off", interface="asgi3",
        access_log=False, log_config=None, server_header=False, timeout_keep_alive=75, backlog=2048,
    )  # fmt: skip
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
