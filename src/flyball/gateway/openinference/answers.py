"""What an answer is in the protocol's words, before it is JSON, bytes or a message."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from flyball.gateway.answering import labels_of
from flyball.gateway.batches import Answer
from flyball.gateway.openinference.asking import InferRequest
from flyball.gateway.tables import LiveRoute
from flyball.gateway.tensors.binary import of_strings


class Output(NamedTuple):
    """One output tensor."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]
    """Row after row."""
    binary: bool

    def as_bytes(self) -> bytes:
        if self.datatype == "BYTES":
            return of_strings(text.encode() for text in self.data)
        return np.array(self.data, dtype="<f8").tobytes()


def outputs(live: LiveRoute, request: InferRequest, answer: Answer) -> list[Output]:
    return [_output(name, live, answer, binary=binary) for name, binary in request.outputs.items()]


def version_of(answer: Answer) -> str:
    """Of the unit that answered the first row; `units` tells of the others."""
    return str(answer.units[0].served.unit.version)


def parameters(live: LiveRoute, request: InferRequest, answer: Answer) -> dict[str, Any]:
    """`prediction_ids`; `unit`, or `units` (one a row) when several answered; `flags` where there is something to be said about a row."""
    units = [unit.id for unit in answer.units]
    which = {"unit": units[0]} if _one(units) else {"units": units}
    flags = [{"row": row, **flag} for row, said in sorted(live.reader.flags(request.rows).items()) for flag in said]
    return {"prediction_ids": answer.ids, **which, **({"flags": flags} if flags else {})}


def _output(name: str, live: LiveRoute, answer: Answer, *, binary: bool) -> Output:
    n = len(answer.ids)
    if name == "label":
        labels = labels_of(live, answer) or []
        return Output(name, "BYTES", [n, 1], labels, binary)
    flat = [score for scores in answer.scores for score in scores]
    return Output(name, "FP64", [n, live.signature.n_scores], flat, binary)


def _one(units: Iterable[str]) -> bool:
    return len(set(units)) == 1
