"""What skl2onnx is taught, so that these models convert inside a pipeline too."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from flyball.adapters.conversion import catboost_trees, histogram_trees, input_names, number_columns
from flyball.adapters.conversion.graph_parts import named
from flyball.adapters.conversion.thresholds import rounded_down
from flyball.errors import TrainingError

_ZIPMAP: dict[str, list[Any]] = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
_MOST_QUANTILES = 127
"""They take about 10 s for each variant that is tried, and one more, for which the search halves once more, three times as long."""
_TREE_OPTIONS: dict[str, list[Any]] = {"decision_path": [True, False], "decision_leaf": [True, False]}
"""What skl2onnx declares for its own converters: it asks for each."""


def register_converters() -> None:
    """Of the libraries that are installed. Idempotent."""
    input_names.register()
    histogram_trees.register()
    number_columns.register()
    _register_forests()
    _register_quantiles()
    if find_spec("lightgbm"):
        _register_lightgbm()
    if find_spec("xgboost"):
        _register_xgboost()
    if find_spec("catboost"):
        catboost_trees.register()


def _register_forests() -> None:
    """skl2onnx sends missing values to the right in every tree; scikit-learn sends them where they did better in training."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_shape_calculator
    from skl2onnx.operator_converters import decision_tree, gradient_boosting, random_forest
    from skl2onnx.shape_calculators.ensemble_shapes import (
        calculate_tree_classifier_output_shapes,
        calculate_tree_regressor_output_shapes,
    )
    from sklearn import ensemble, tree

    for room, name, classifier, regressor in (
        (ensemble, "RandomForest", random_forest.convert_sklearn_random_forest_classifier, random_forest.convert_sklearn_random_forest_regressor_converter),
        (ensemble, "ExtraTrees", random_forest.convert_sklearn_random_forest_classifier, random_forest.convert_sklearn_random_forest_regressor_converter),
        (tree, "DecisionTree", decision_tree.convert_sklearn_decision_tree_classifier, decision_tree.convert_sklearn_decision_tree_regressor),
    ):  # fmt: skip
        update_registered_converter(
            getattr(room, f"{name}Classifier"), f"Sklearn{name}Classifier", calculate_tree_classifier_output_shapes, _of_forest(classifier),
            options={**_ZIPMAP, **_TREE_OPTIONS, "raw_scores": [True, False], "output_class_labels": [False, True]},
        )  # fmt: skip
        update_registered_converter(
            getattr(room, f"{name}Regressor"), f"Sklearn{name}Regressor", calculate_tree_regressor_output_shapes, _of_forest(regressor), options=_TREE_OPTIONS
        )  # fmt: skip
    for kind, convert, options in (
        ("Classifier", gradient_boosting.convert_sklearn_gradient_boosting_classifier, {**_ZIPMAP, "raw_scores": [True, False], "output_class_labels": [False, True]}),
        ("Regressor", gradient_boosting.convert_sklearn_gradient_boosting_regressor, None),
    ):  # fmt: skip
        name = f"SklearnGradientBoosting{kind}"
        update_registered_converter(
            getattr(ensemble, f"GradientBoosting{kind}"), name, get_shape_calculator(name), _of_rounding(convert), options=options
        )


def _register_quantiles() -> None:
    """skl2onnx's converter takes three times as long with each halving of its search: 300 quantiles take minutes, and 1,000, the default, an hour."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_shape_calculator
    from skl2onnx.operator_converters.quantile_transformer import convert_quantile_transformer
    from sklearn.preprocessing import QuantileTransformer

    def convert(scope: Any, operator: Any, container: Any) -> None:
        quantiles = int(operator.raw_operator.n_quantiles_)
        if quantiles > _MOST_QUANTILES:
            raise TrainingError(
                f"a QuantileTransformer of {quantiles:,} quantiles takes too long to convert", expected=f"{_MOST_QUANTILES} at most",
                next_step=f"give it n_quantiles={_MOST_QUANTILES} or fewer, if it is to be served as ONNX",
            )  # fmt: skip
        convert_quantile_transformer(scope, operator, container)

    name = "SklearnQuantileTransformer"
    update_registered_converter(QuantileTransformer, name, get_shape_calculator(name), convert)


def _of_forest(original: Callable[..., None]) -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        trees = getattr(operator.raw_operator, "estimators_", [operator.raw_operator])
        original(scope, operator, _Mending(container, partial(_track_missing, trees), _in_double(scope, operator)))

    return convert


def _of_rounding(original: Callable[..., None]) -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        original(scope, operator, _Mending(container, lambda _: None, _in_double(scope, operator)))

    return convert


def _register_lightgbm() -> None:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classes
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as values

    def convert(scope: Any, operator: Any, container: Any) -> None:
        # Its thresholds are doubles, which the container rounds to nearest.
        convert_lightgbm(scope, operator, _Mending(container, _round_down))

    update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", classes, convert, options=_ZIPMAP)
    update_registered_converter(LGBMRegressor, "LightGbmLGBMRegressor", values, convert, options={"split": None})


def _register_xgboost() -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as classes
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes as values
    from xgboost import XGBClassifier, XGBRegressor

    convert = _of_rounding(convert_xgboost)
    update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", classes, convert, options=_ZIPMAP)
    update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", values, convert)


def _in_double(scope: Any, operator: Any) -> Any:
    """`scope`, where the rows reach the trees in double precision; None: in single, as the library takes them."""
    from skl2onnx.common.data_types import DoubleTensorType

    return scope if isinstance(operator.inputs[0].type, DoubleTensorType) else None


class _Mending:
    """A container of skl2onnx that mends the attributes of the trees which a converter adds."""

    def __init__(self, container: Any, mend: Callable[[dict[str, Any]], None], rounds: Any = None) -> None:
        """`rounds`: a scope, where rows must be rounded to single precision first, as XGBoost and scikit-learn's older trees do with whatever they get."""
        self._container = container
        self._mend = mend
        self._rounds = rounds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> Any:
        from onnx import TensorProto

        if "nodes_values" in attributes:
            self._mend(attributes)
            if self._rounds is not None:
                (rows,) = [inputs] if isinstance(inputs, str) else inputs
                inputs = named(self._rounds, "single")
                self._container.add_node("Cast", rows, inputs, op_version=13, to=TensorProto.FLOAT)
        return self._container.add_node(op_type, inputs, outputs, **attributes)


def _round_down(attributes: dict[str, Any]) -> None:
    at_most = np.array([mode == "BRANCH_LEQ" for mode in attributes["nodes_modes"]])
    values = np.asarray(attributes["nodes_values"], dtype=np.float64)
    attributes["nodes_values"] = np.where(at_most, rounded_down(values), values).tolist()


def _track_missing(trees: Sequence[Any], attributes: dict[str, Any]) -> None:
    """`trees`: fitted, in the order of their nodes."""
    tracked = np.concatenate([each.tree_.missing_go_to_left for each in trees]).astype(int).tolist()
    if len(tracked) == len(attributes["nodes_values"]):
        attributes["nodes_missing_value_tracks_true"] = tracked
