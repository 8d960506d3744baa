"""ONNX in the gateway's own process: a data format, nothing in it is executed as code."""

import threading
from functools import partial
from typing import Any

import numpy as np

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.runtimes.contract import CodeLimits, Columns
from flyball.gateway.runtimes.onnx_steady import is_steady
from flyball.machine.onnx_session import open_session
from flyball.records.scores import as_scores
from flyball.records.signature import ColumnType, Signature

_STRING = "tensor(string)"
_FLOAT = "tensor(float)"


class OnnxRuntime:
    """One input a column, named as the column, shape [None, 1]; scores are the last output (classification) or the first."""

    begun_rows = 0

    def __init__(self, model: bytes, signature: Signature, deadline_seconds: float = CodeLimits().deadline_seconds) -> None:
        """`deadline_seconds`: of one call of a graph that is not steady; one that is ends by itself."""
        import onnxruntime

        self._session = open_session(model)
        self.steady = is_steady(model)
        self._deadline_seconds = deadline_seconds
        self._options = onnxruntime.RunOptions
        self._signature = signature
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

    def score(self, columns: Columns, n: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - the arrays know their length
        feed = {name: columns[name] for name in self._inputs}
        try:
            raw = self._session.run(self._outputs, feed)[0] if self.steady else self._bounded(feed)
        except TimeoutError as late:
            raise ModelFailed(f"deadline of {self._deadline_seconds:g} s passed") from late
        except Exception as failed:  # whatever a model's graph raises, the caller falls back
            raise ModelFailed(f"onnxruntime: {type(failed).__name__}: {str(failed)[:300]}") from failed
        return as_scores(raw, self._signature)

    def _bounded(self, feed: Columns) -> Any:
        """Raises TimeoutError: onnxruntime looks between two nodes, and so once a turn, whether it is to end."""
        options = self._options()
        end = threading.Timer(self._deadline_seconds, partial(setattr, options, "terminate", True))
        end.start()
        try:
            return self._session.run(self._outputs, feed, options)[0]
        except Exception:
            if options.terminate:
                raise TimeoutError from None
            raise
        finally:
            end.cancel()

    def begin(self, columns: Columns, n: int) -> None:
        """It is in this process."""

    def close(self) -> None:
        """The session is freed with its last reference."""
