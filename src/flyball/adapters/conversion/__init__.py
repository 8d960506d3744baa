"""From the trained estimator to the form that is served: ONNX where it converts and is proven equal, LightGBM's own text, else code."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.runtimes import Run, open_model
from flyball.errors import TrainingError
from flyball.records.signature import ColumnType, Signature
from flyball.records.unit import Format

TARGET_OPSET = {"": 21, "ai.onnx.ml": 3}
"""Read by every onnxruntime from 1.20; LightGBM's converter knows no newer version of the tree operators."""

UNSEEN = "flyball: an unseen category"


class Served(NamedTuple):
    """The model in the form that is served."""

    format: Format
    content: bytes
    run: Run
    parity: float
    """Largest difference of any score to the estimator; regression: as a share of the label's scale."""
    rows: int
    """That were compared."""
    words: tuple[str, ...]
    """Why not the forms before it, and what the estimator itself refuses."""


class Compared(NamedTuple):
    """Rows on which the served form must answer like the estimator, and the estimator's answers."""

    frame: pl.DataFrame
    scores: estimators.Scores
    refused: tuple[str, ...]
    """What the estimator itself cannot answer, in words; those rows are left out."""


def convert(estimator: Any, pickled: bytes, signature: Signature, compared: Compared, tolerance: float, scale: float) -> Served:
    """The first form that answers like `estimator` within `tolerance` on all of `compared`; code is its own proof, measured all the same."""
    reasons: list[str] = []
    for kind, name, make in _candidates(estimator, signature):
        try:
            content = make()
            run = open_model(kind, content, signature)
            parity = difference(run, compared, scale)
        except Exception as error:  # noqa: BLE001 - converters and runtimes raise whatever they like; the next form is tried and the reason told
            reasons.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
            continue
        if parity <= tolerance:
            return Served(kind, content, run, parity, compared.frame.height, (*reasons, *compared.refused))
        reasons.append(f"{name}: differs by {parity:.2g} from the trained model, more than {tolerance:g}")
    run = open_model(Format.CODE, pickled, signature)
    return Served(
        Format.CODE, pickled, run, difference(run, compared, scale), compared.frame.height, (*reasons, *compared.refused)
    )


def difference(run: Run, compared: Compared, scale: float) -> float:
    return float(np.abs(run(compared.frame) - compared.scores).max() / scale)


def rows_to_compare(estimator: Any, features: pl.DataFrame, holdout: pl.DataFrame, signature: Signature) -> Compared:
    """The holdout, and edge rows: each column missing, unseen and at and beyond its extremes, in three rows of the holdout."""
    edges = _edges(features, holdout.gather_every(max(1, holdout.height // 3)).head(3), signature)
    refused: list[str] = []
    kept = []
    for name, rows in edges.items():
        try:
            estimators.score(estimator, rows, signature)
            kept.append(rows)
        except Exception as error:  # noqa: BLE001 - the user's estimator: what it cannot answer is told, not compared
            refused.append(f"the trained model refuses {name}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
    frame = pl.concat([holdout, *kept])
    return Compared(frame, estimators.score(estimator, frame, signature), tuple(refused))


def _edges(features: pl.DataFrame, base: pl.DataFrame, signature: Signature) -> dict[str, pl.DataFrame]:
    edges = {}
    for column in signature.columns:
        seen = features[column.name]
        if column.type is ColumnType.CATEGORY:
            changes: dict[str, list[Any]] = {"unseen": [UNSEEN], "known": seen.unique().sort().head(50).to_list()}
            missing: Any = ""
        else:
            known = seen.drop_nans()
            low, high = (float(known.min()), float(known.max())) if known.len() else (0.0, 0.0)  # type: ignore[arg-type]
            width = high - low + 1.0
            changes = {
                "extreme": [low, high] if column.type is ColumnType.BOOLEAN else [low, high, low - width, high + width, 0.0]
            }
            missing = float("nan")
        if column.missing:
            changes["missing"] = [missing]
        for kind, values in changes.items():
            edges[f"{kind} values of {column.name}"] = pl.concat(
                base.with_columns(pl.lit(value, dtype=seen.dtype).alias(column.name)) for value in values
            )
    return edges


def _candidates(estimator: Any, signature: Signature) -> Iterator[tuple[Format, str, Callable[[], bytes]]]:
    numeric = all(column.type is not ColumnType.CATEGORY for column in signature.columns)
    booster = _bare_booster(estimator)
    # onnxmltools takes a Booster by another way than a scikit-learn model, and its own text is exact: no need to try.
    if type(estimator).__name__ != "Booster":
        yield Format.ONNX, "ONNX", lambda: _to_onnx(estimator, signature)
        if len({column.type is ColumnType.CATEGORY for column in signature.columns}) == 1:
            yield Format.ONNX, "ONNX of one matrix", lambda: _to_onnx_of_matrix(estimator, signature)
    if booster is not None and numeric:
        yield Format.LIGHTGBM, "LightGBM's own text", lambda: str(booster.model_to_string()).encode()


def _bare_booster(estimator: Any) -> Any:
    """The Booster of a LightGBM model without a pipeline; None: it is something else."""
    if not type(estimator).__module__.startswith("lightgbm"):
        return None
    return estimator if type(estimator).__name__ == "Booster" else getattr(estimator, "booster_", None)


def _to_onnx(estimator: Any, signature: Signature) -> bytes:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs = [
        (column.name, (StringTensorType if column.type is ColumnType.CATEGORY else FloatTensorType)([None, 1]))
        for column in signature.columns
    ]
    return bytes(_converted(estimator, signature, inputs).SerializeToString())


def _to_onnx_of_matrix(estimator: Any, signature: Signature) -> bytes:
    """For an estimator that takes all columns as one matrix: converted so, with the columns put together in front of it."""
    from onnx import TensorProto, helper
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    texts = signature.columns[0].type is ColumnType.CATEGORY
    names = [column.name for column in signature.columns]
    matrix = "flyball_matrix"
    kind = (StringTensorType if texts else FloatTensorType)([None, len(names)])
    model = _converted(estimator, signature, [(matrix, kind)])
    element = TensorProto.STRING if texts else TensorProto.FLOAT
    del model.graph.input[:]
    model.graph.input.extend(helper.make_tensor_value_info(name, element, [None, 1]) for name in names)
    model.graph.node.insert(0, helper.make_node("Concat", names, [matrix], axis=1))
    return bytes(model.SerializeToString())


def _converted(estimator: Any, signature: Signature, inputs: list[Any]) -> Any:
    from skl2onnx import to_onnx

    _register_converters()
    options = {id(estimator): {"zipmap": False}} if signature.task != "regression" else None
    model = to_onnx(estimator, initial_types=inputs, options=options, target_opset=TARGET_OPSET)
    if not model.graph.output:
        raise TrainingError("the converted model has no output")
    return model


def _register_converters() -> None:
    """Teach skl2onnx the models of LightGBM and XGBoost where they are installed, so that they convert inside a pipeline."""
    from importlib.util import find_spec

    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classes
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as values

    zipmap = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    if find_spec("lightgbm"):
        from lightgbm import LGBMClassifier, LGBMRegressor
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", classes, convert_lightgbm, options=zipmap)
        update_registered_converter(LGBMRegressor, "LightGbmLGBMRegressor", values, convert_lightgbm, options={"split": None})
    if find_spec("xgboost"):
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBClassifier, XGBRegressor

        update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", classes, convert_xgboost, options=zipmap)
        update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", values, convert_xgboost)
