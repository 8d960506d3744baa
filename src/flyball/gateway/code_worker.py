"""The process that runs a code format: `python -m flyball.gateway.code_worker`, started by the gateway and by nobody else.

It unpickles, which is running the package's code: so it has a memory limit, no descriptor but its pipes, an environment without
secrets, and dies with a closed pipe. What the code prints cannot reach the protocol.
"""

import hashlib
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from flyball.gateway.runtimes import pipe
from flyball.records.signature import ColumnType, Signature


class Order(msgspec.Struct, frozen=True):
    """The first message: what to load."""

    model: str
    digest: str
    signature: Signature
    memory_bytes: int


def main() -> int:
    """Load, say `ready`, then answer until the gateway closes the pipe."""
    incoming, outgoing = _own_the_pipes()
    order = msgspec.json.decode(pipe.receive(incoming), type=Order)
    threading.Thread(target=_end_with, args=(os.getppid(),), name="watch-the-gateway", daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        model = _load(Path(order.model), order.digest)
    except BaseException as failed:  # noqa: BLE001 - foreign code: whatever it raises (SystemExit too) goes to the gateway in words
        pipe.send(outgoing, msgspec.msgpack.encode({"error": f"{type(failed).__name__}: {str(failed)[:300]}"}))
        return 1
    pipe.send(outgoing, msgspec.msgpack.encode({"ready": True}))
    while True:
        try:
            request = pipe.receive(incoming)
        except ConnectionError:
            return 0
        pipe.send(outgoing, _answer(model, order.signature, request))


def _end_with(gateway: int) -> None:
    """A model that hangs reads no pipe and would outlive a gateway that was killed. (PR_SET_PDEATHSIG would follow the thread that started us.)"""
    never = threading.Event()
    while os.getppid() == gateway:
        never.wait(1.0)
    os._exit(0)


def _own_the_pipes() -> tuple[int, int]:
    """Keep the pipes under other numbers: 0 and 1 become the null device, so that print() and input() of the model touch nothing."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return incoming, outgoing


def _load(path: Path, digest: str) -> Any:
    import cloudpickle

    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"{path.name} has the digest {found[:12]}…, expected {digest[:12]}…")
    code = path.parent / "code"
    if code.is_dir():
        sys.path.insert(0, str(code))
    return cloudpickle.loads(content)


def _answer(model: Any, signature: Signature, request: bytes) -> bytes:
    import numpy as np

    try:
        frame = _frame(signature, msgspec.msgpack.decode(request))
        if type(model).__module__.partition(".")[0] == "xgboost":
            frame = frame.to_numpy()  # a polars frame it reads through pyarrow, which Flyball does without
        probabilities = getattr(model, "predict_proba", None) if signature.task != "regression" else None
        raw = probabilities(frame) if probabilities else model.predict(frame)
        scores = np.ascontiguousarray(np.asarray(raw), dtype="<f8")
        return msgspec.msgpack.encode({"shape": list(scores.shape), "scores": scores.tobytes()})
    except Exception as failed:  # noqa: BLE001 - foreign code: the gateway is told and answers with another unit
        return msgspec.msgpack.encode({"error": f"{type(failed).__name__}: {str(failed)[:300]}"})


def _frame(signature: Signature, request: dict[str, Any]) -> Any:
    """The rows as in training: Float32 and String columns in the signature's order."""
    import numpy as np
    import polars as pl

    series = []
    for column, values in zip(signature.columns, request["columns"], strict=True):
        if column.type is ColumnType.CATEGORY:
            series.append(pl.Series(column.name, values, dtype=pl.String))
        else:
            series.append(pl.Series(column.name, np.frombuffer(values, dtype="<f4"), dtype=pl.Float32))
    return pl.DataFrame(series)


if __name__ == "__main__":
    sys.exit(main())
