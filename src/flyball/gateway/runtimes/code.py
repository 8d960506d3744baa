"""Code formats, from the gateway's side. The gateway never unpickles: it hands rows over a pipe to a worker process and takes floats back."""

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.runtimes.contract import CodeLimits, Columns, packed
from flyball.gateway.runtimes.watched import AT_ONCE_BYTES
from flyball.gateway.runtimes.worker_process import Program, WorkerProcess
from flyball.records.scores import as_scores
from flyball.records.signature import Signature


class CodeRuntime:
    """One worker process, one call at a time."""

    steady = False

    def __init__(
        self, model: Path, digest: str, code: Mapping[str, str], signature: Signature, warm: Columns, limits: CodeLimits
    ) -> None:
        """Starts the worker and waits until it has loaded the model. `digest` is the file's SHA-256 and `code` that of each file of the package's own code: the
        worker checks them again whenever it starts. `warm`: a row that it is asked before any request."""
        self._signature = signature
        self.begun_rows = AT_ONCE_BYTES // (4 * max(len(signature.columns), 1))
        order = {"model": str(model), "digest": digest, "code": code, "signature": msgspec.to_builtins(signature)}
        program = Program("flyball.gateway.code_worker", "the model's worker", order, packed(warm, signature, 1))
        try:
            self._worker = WorkerProcess(program, limits)
        except ModelFailed as failed:
            raise ArtifactDamaged(f"the worker of {model.parent.parent.name} does not load its model: {failed.found}") from failed

    def score(self, columns: Columns, n: int) -> np.ndarray[Any, Any]:
        return as_scores(self._worker.call(packed(columns, self._signature, n), self._limit(n), _scores), self._signature)

    def begin(self, columns: Columns, n: int) -> Awaitable[np.ndarray[Any, Any]] | None:
        answer = self._worker.begin(packed(columns, self._signature, n), self._limit(n), _scores)
        return None if answer is None else self._shaped(answer)

    async def _shaped(self, answer: Awaitable[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        return as_scores(await answer, self._signature)

    def _limit(self, n: int) -> int:
        """Bytes of an answer."""
        return 65_536 + 16 * n * (1 + len(self._signature.classes))

    def close(self) -> None:
        self._worker.close()


def _scores(answer: dict[str, Any]) -> np.ndarray[Any, Any]:
    shape = answer["shape"]
    if 8 * int(np.prod(shape)) != len(answer["scores"]):
        raise ConnectionError("scores that do not fit their shape")
    return np.frombuffer(answer["scores"], dtype="<f8").reshape(shape)
