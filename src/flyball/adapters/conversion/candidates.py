"""Which data formats are tried for an estimator, and in which variants."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flyball.adapters.conversion import onnx_graph, torch_export
from flyball.adapters.torch_network import TorchNetwork
from flyball.records.signature import ColumnType, Signature
from flyball.records.unit import Format

_TREES = ("DecisionTree", "ExtraTree", "GradientBoosting", "HistGradientBoosting", "LGBM", "RandomForest", "XGB")
"""As the classes' names begin."""


class Variant(NamedTuple):
    name: str
    make: Callable[[], bytes]
    finer: bool = False
    """Tried only where one before it converts and differs: what does not convert at all does not convert with more digits either."""


def candidates(estimator: Any, signature: Signature) -> list[tuple[Format, tuple[Variant, ...]]]:
    """Formats by preference: the first is what a gateway can hold without the training library. Variants of one in the order of their speed."""
    if type(estimator).__module__ == TorchNetwork.__module__:  # pickled by value: the same class, and yet another object
        return [(Format.ONNX, (Variant("ONNX by torch.export", partial(torch_export.of_network, estimator, signature)),))]
    found: list[tuple[Format, tuple[Variant, ...]]] = []
    numeric = all(column.type is not ColumnType.CATEGORY for column in signature.columns)
    booster = _bare_booster(estimator)
    # onnxmltools takes LightGBM's Booster by another way than a scikit-learn model, and its own text is exact: no need to try.
    if booster is not estimator:
        found.append((Format.ONNX, tuple(_of_scikit_learn(estimator, signature))))
    if booster is not None and numeric:
        found.append((Format.LIGHTGBM, (Variant("LightGBM's own text", lambda: str(booster.model_to_string()).encode()),)))
    return found


def _of_scikit_learn(estimator: Any, signature: Signature) -> list[Variant]:
    columns = partial(onnx_graph.of_columns, estimator, signature)
    steps: Any = getattr(estimator, "steps", None)
    variants = [Variant("ONNX", columns)]
    finest: list[Variant] = []
    if len({column.type is ColumnType.CATEGORY for column in signature.columns}) == 1:
        # Most estimators take one matrix; a pipeline may choose among the columns by name.
        matrix = Variant("ONNX of one matrix", partial(onnx_graph.of_one_matrix, estimator, signature))
        variants.insert(1 if steps else 0, matrix)
        if not steps and signature.columns[0].type is not ColumnType.CATEGORY:
            of_matrix = partial(onnx_graph.of_one_matrix, estimator, signature, double=True)
            finest = [Variant("ONNX of one matrix in double precision", of_matrix, finer=True)]
    # What comes before trees computes in double precision, and rounded otherwise a value at a split goes the other way; the doubles cost nothing (ADR 6).
    exact_first = bool(steps) and type(steps[-1][1]).__name__.startswith(_TREES)
    double = Variant("ONNX in double precision", partial(columns, double=True), finer=not exact_first)
    return [double, *variants] if exact_first else [*variants, double, *finest]


def _bare_booster(estimator: Any) -> Any:
    """The Booster of a LightGBM model without a pipeline; None: it is something else."""
    if not type(estimator).__module__.startswith("lightgbm"):
        return None
    return estimator if type(estimator).__name__ == "Booster" else getattr(estimator, "booster_", None)
