"""ONNX in the gateway's own process: a data format, nothing in it is executed as code."""

import math
from time import perf_counter
from typing import Any

import numpy as np

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.runtimes.contract import Columns, as_scores
from flyball.records.signature import ColumnType, Signature

SLICES = (32, 48, 64, 128)
TRIALS = 15
WORTH_SLICING = 0.95
"""Of the time of a row in one call. Sliced in vain costs a few per cent; not sliced costs forty, and real rows show more of it than these."""

_STRING = "tensor(string)"
_FLOAT = "tensor(float)"


class OnnxRuntime:
    """One input a column, named as the column, shape [None, 1]; scores are the last output (classification) or the first."""

    def __init__(self, model: bytes, signature: Signature) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Rows are few and requests many: threads inside one call would only fight the other workers for the cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as refused:  # onnxruntime's errors share no class of their own
            raise ArtifactDamaged(f"onnxruntime does not load the model: {str(refused)[:300]}") from refused
        self._signature = signature
        self._slice: int | None = None
        """Most rows in one call; None: all."""
        self._inputs = self._checked_inputs(signature)
        outputs = [output.name for output in self._session.get_outputs()]
        self._outputs = [outputs[0] if signature.task == "regression" else outputs[-1]]

    def _checked_inputs(self, signature: Signature) -> tuple[str, ...]:
        kinds = {column.name: _STRING if column.type is ColumnType.CATEGORY else _FLOAT for column in signature.columns}
        for each in self._session.get_inputs():
            if kinds.get(each.name) != each.type:
                raise ArtifactDamaged(
                    f"the ONNX model has an input {each.name!r} of {each.type}",
                    expected=f"{kinds.get(each.name, 'no such input')}, as in its signature",
                )
        return tuple(each.name for each in self._session.get_inputs())

    def tune(self, columns: Columns, n: int) -> None:
        """Find out how many rows a call takes best, by trying on these: tree ensembles change their plan with the number of rows, and
        on one thread not always for the better (100 trees: 1.2 µs a row in calls of 64, 1.9 µs in calls of 100)."""
        feeds = {size: {name: columns[name][:size] for name in self._inputs} for size in (*SLICES, n)}
        fastest = dict.fromkeys(feeds, math.inf)
        for _ in range(TRIALS):  # in turn: what else runs on the machine then hits all of them alike
            for size, feed in feeds.items():
                begin = perf_counter()
                self._run(feed, size)
                fastest[size] = min(fastest[size], (perf_counter() - begin) / size)
        best = min(SLICES, key=fastest.__getitem__)
        self._slice = best if fastest[best] < WORTH_SLICING * fastest[n] else None

    def score(self, columns: Columns, n: int) -> np.ndarray[Any, Any]:
        size = self._slice
        if size is None or n <= size:
            return as_scores(self._run(columns, n), self._signature)
        slices = (slice(at, at + size) for at in range(0, n, size))
        parts = [self._run({name: columns[name][each] for name in self._inputs}, size) for each in slices]
        return as_scores(np.concatenate(parts), self._signature)

    def _run(self, columns: Columns, n: int) -> Any:  # noqa: ARG002 - the arrays know their length
        feed = {name: columns[name] for name in self._inputs}
        try:
            return self._session.run(self._outputs, feed)[0]
        except Exception as failed:  # whatever a model's graph raises, the caller falls back
            raise ModelFailed(f"onnxruntime: {type(failed).__name__}: {str(failed)[:300]}") from failed

    def close(self) -> None:
        """The session is freed with its last reference."""
