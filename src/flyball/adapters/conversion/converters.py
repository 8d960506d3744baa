"""What skl2onnx is taught, so that these models convert inside a pipeline too."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from flyball.adapters.conversion import catboost_trees, histogram_trees
from flyball.adapters.conversion.thresholds import rounded_down

_ZIPMAP = {"nocl": [True, False], "zipmap": [True, False, "columns"]}


def register_converters() -> None:
    """Of the libraries that are installed. Idempotent."""
    histogram_trees.register()
    if find_spec("lightgbm"):
        _register_lightgbm()
    if find_spec("xgboost"):
        _register_xgboost()
    if find_spec("catboost"):
        catboost_trees.register()


def _register_lightgbm() -> None:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classes
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as values

    def convert(scope: Any, operator: Any, container: Any) -> None:
        convert_lightgbm(scope, operator, _RoundingDown(container))

    update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", classes, convert, options=_ZIPMAP)
    update_registered_converter(LGBMRegressor, "LightGbmLGBMRegressor", values, convert, options={"split": None})


def _register_xgboost() -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classes
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as values
    from xgboost import XGBClassifier, XGBRegressor

    update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", classes, convert_xgboost, options=_ZIPMAP)
    update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", values, convert_xgboost)


class _RoundingDown:
    """A container of skl2onnx that rounds thresholds down, where LightGBM's converter lets them be rounded to nearest."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, *places: Any, **attributes: Any) -> Any:
        if "nodes_values" in attributes:
            at_most = np.array([mode == "BRANCH_LEQ" for mode in attributes["nodes_modes"]])
            values = np.asarray(attributes["nodes_values"], dtype=np.float64)
            attributes["nodes_values"] = np.where(at_most, rounded_down(values), values).tolist()
        return self._container.add_node(op_type, *places, **attributes)
