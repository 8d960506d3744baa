"""The process that runs a code format: `python -m flyball.gateway.code_worker`, started by the gateway and by nobody else.

It unpickles, which is running the package's code: so it has a memory limit, no descriptor but its pipes, an environment without
secrets, and dies with a closed pipe.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.gateway.runtimes import worker_side
from flyball.gateway.runtimes.contract import Columns, unpacked
from flyball.machine.package_files import whole
from flyball.records.scores import NUMBERS
from flyball.records.signature import ColumnType, Signature


class Order(msgspec.Struct, frozen=True):
    """The first message: what to load."""

    model: str
    digest: str
    code: dict[str, str]
    """Files below `code/` beside the model → SHA-256."""
    signature: Signature


def load(order: bytes) -> worker_side.Answer:
    what = msgspec.json.decode(order, type=Order)
    model = unpickled(Path(what.model), read_checked(Path(what.model), what.digest), what.code)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        scores = scores_of(model, unpacked(request, what.signature), what.signature)
        return {"shape": list(scores.shape), "scores": scores.tobytes()}

    return answer


def read_checked(path: Path, digest: str) -> bytes:
    """A file's bytes, if they are those that the manifest names: what is unpickled or run is what was checked."""
    content = whole(path.parent, path.name)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"{path.name} has the digest {found[:12]}…, expected {digest[:12]}…")
    return content


def unpickled(path: Path, content: bytes, listed: Mapping[str, str]) -> Any:
    """The model in `content`, with the package's own code importable: a worker starts again long after its package was checked, so that is looked at once more.
    Raises ValueError at a link, and at a file that is not `listed` or not what it was."""
    import cloudpickle

    code = path.parent / "code"
    for each in (path.parent, code, *code.rglob("*")):
        if each.is_symlink():
            raise ValueError(f"{each.name} in the package is a link")
        if each.is_file():
            name = each.relative_to(code).as_posix()
            if name not in listed:
                raise ValueError(f"{name} in the package is not in its manifest")
            read_checked(each, listed[name])
        elif each.exists() and not each.is_dir():
            raise ValueError(f"{each.name} in the package is no file")
    if code.is_dir():
        sys.dont_write_bytecode = True  # what lies beside the listed files is refused by whoever comes next
        sys.path.insert(0, str(code))
    return cloudpickle.loads(content)


def scores_of(model: Any, columns: Columns, signature: Signature) -> Any:
    """The model's answer as float64, whatever its shape. Raises TypeError for what numpy would make numbers of, and is none: text, times."""
    import numpy as np

    frame = _frame(signature, columns)
    if type(model).__module__.partition(".")[0] == "xgboost":
        frame = frame.to_numpy()  # a polars frame it reads through pyarrow, which Flyball does without
    probabilities = getattr(model, "predict_proba", None) if signature.task != "regression" else None
    raw = np.asarray(probabilities(frame) if probabilities else model.predict(frame))
    if raw.dtype.kind not in NUMBERS:
        raise TypeError(f"invalid output: scores of type {raw.dtype}, expected numbers")
    return np.ascontiguousarray(raw, dtype="<f8")


def _frame(signature: Signature, columns: Columns) -> Any:
    """The rows as in training: Float32 and String columns in the signature's order."""
    import polars as pl

    kinds = {column.name: pl.String if column.type is ColumnType.CATEGORY else pl.Float32 for column in signature.columns}
    return pl.DataFrame(
        [
            pl.Series(name, columns[name][:, 0].tolist() if kind is pl.String else columns[name][:, 0], dtype=kind)
            for name, kind in kinds.items()
        ]
    )


if __name__ == "__main__":
    sys.exit(worker_side.run(load))
