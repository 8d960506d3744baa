"""The process that explains predictions of one unit: `python -m flyball.gateway.explain_worker`, started by the gateway and by nobody else.

It loads the unit's model by itself, in the form that is served, so what is explained is what answers. The Shapley values are shap's.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.gateway.code_worker import read_checked, scores_of, unpickled
from flyball.gateway.runtimes import worker_side
from flyball.gateway.runtimes.contract import Columns, arrays_of, unpacked
from flyball.gateway.runtimes.lightgbm import LightgbmRuntime
from flyball.gateway.runtimes.onnx import OnnxRuntime
from flyball.records.background import Background
from flyball.records.maps import AnswerMap
from flyball.records.scores import Scores, as_scores, checked
from flyball.records.signature import Signature
from flyball.records.unit import Format

MOST_EXACT_COLUMNS = 8
"""Up to here all subsets of the columns are tried (256); beyond it PERMUTATIONS of them, there and back, cost less."""
PERMUTATIONS = 10
MAX_CELLS = 8_000_000
"""Of the table that shap evaluates a permutation on (64 MB): with hundreds of columns fewer background rows are used."""
SEED = 0

Score = Callable[[Columns, int], Scores]
Codes = npt.NDArray[np.float64]


class Order(msgspec.Struct, frozen=True):
    """The first message: files with their digests by the manifest."""

    model: str
    model_digest: str
    code: dict[str, str]
    background: str
    background_digest: str
    format: Format
    signature: Signature
    calibration: AnswerMap | None = None


def load(order: bytes) -> worker_side.Answer:
    os.nice(10)  # who asks for reasons can wait a little; who asks for a prediction must not wait for them
    what = msgspec.json.decode(order, type=Order)
    background = msgspec.json.decode(read_checked(Path(what.background), what.background_digest), type=Background)
    explained = Explained(what.signature, background, _answer(what))
    explained.row(
        {name: values[:1] for name, values in explained.background.items()}, 0
    )  # what is slow or broken shows before it is ready

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        columns = unpacked(request, what.signature)
        told = [
            explained.row({name: values[at : at + 1] for name, values in columns.items()}, of)
            for at, of in enumerate(request["of"])
        ]
        return {"values": [values for values, _ in told], "base": [base for _, base in told]}

    return answer


class Explained:
    """One model with its background. shap sees codes: small whole numbers that stand for a column's values, so that missing ones are values
    like others, and values that are close (shap takes 1e-5 for equal) are not the same."""

    def __init__(self, signature: Signature, background: Background, score: Score) -> None:
        self._signature = signature
        self._score = score
        self.background = arrays_of(signature, background)
        n = len(next(iter(self.background.values())))
        m = len(signature.columns)
        self._rows = max(1, min(n, MAX_CELLS // ((2 * m + 1) * m)))
        self._known: list[dict[Any, int]] = []
        """By column: value → code."""
        codes = []
        for values in self.background.values():
            known: dict[Any, int] = {}
            codes.append([known.setdefault(_hashable(value), len(known)) for value in values[: self._rows, 0].tolist()])
            self._known.append(known)
        self._codes: Codes = np.array(codes, dtype=np.float64).T

    def row(self, row: Columns, of: int) -> tuple[list[float], float]:
        """(attribution of each column, base): together the row's score number `of`. The same row is explained alike in any company."""
        vocabulary, code = self._coded(row)

        def score(codes: Codes) -> npt.NDArray[np.float64]:
            columns = {name: values[codes[:, at].astype(np.intp)] for at, (name, values) in enumerate(vocabulary.items())}
            return self._score(columns, len(codes))[:, of]

        told = self._explainer(score)(code.reshape(1, -1))
        return told.values[0].tolist(), float(np.ravel(told.base_values)[0])

    def _coded(self, row: Columns) -> tuple[dict[str, npt.NDArray[Any]], Codes]:
        """(column → its values by code, the row's codes)"""
        vocabulary, codes = {}, []
        for known, (name, values) in zip(self._known, row.items(), strict=True):
            value = _hashable(values[0, 0].item() if values.dtype != object else values[0, 0])
            codes.append(known.get(value, len(known)))
            listed = [*known, *([] if value in known else [value])]
            kind = values.dtype
            column = np.empty((len(listed), 1), dtype=kind)
            column[:, 0] = listed
            vocabulary[name] = column
        return vocabulary, np.array(codes, dtype=np.float64)

    def _explainer(self, score: Callable[[Codes], npt.NDArray[np.float64]]) -> Callable[[Codes], Any]:
        import shap

        m = len(self._signature.columns)
        masker = shap.maskers.Independent(self._codes, max_samples=len(self._codes))
        if m <= MOST_EXACT_COLUMNS:
            exact = shap.explainers.Exact(score, masker)
            return lambda codes: exact(codes, silent=True)
        some = shap.explainers.Permutation(score, masker, seed=SEED)
        return lambda codes: some(codes, max_evals=PERMUTATIONS * (2 * m + 1), silent=True)


def _answer(what: Order) -> Score:
    """As the unit answers: what is explained is what was shown."""
    score, calibration = _score(what), what.calibration
    return score if calibration is None else lambda columns, n: calibration.of(score(columns, n))


def _score(what: Order) -> Score:
    signature, path = what.signature, Path(what.model)
    content = read_checked(path, what.model_digest)
    if what.format is Format.CODE:
        model = unpickled(path, content, what.code)
        return lambda columns, n: checked(as_scores(scores_of(model, columns, signature), signature), n, signature)
    runtime = (OnnxRuntime if what.format is Format.ONNX else LightgbmRuntime)(content, signature)
    return lambda columns, n: checked(runtime.score(columns, n), n, signature)


def _hashable(value: Any) -> Any:
    """NaN differs from itself; None stands for it, and becomes NaN again in a float array."""
    return None if value != value else value  # noqa: PLR0124 - only NaN differs from itself


if __name__ == "__main__":
    sys.exit(worker_side.run(load))
