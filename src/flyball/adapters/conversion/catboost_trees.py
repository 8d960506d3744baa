"""CatBoost → ONNX: the nodes that CatBoost exports itself, put where they are wanted. Numeric columns only, which is what it exports."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def register() -> None:
    from catboost import CatBoostClassifier, CatBoostRegressor
    from skl2onnx import update_registered_converter

    for kind in (CatBoostClassifier, CatBoostRegressor):
        update_registered_converter(
            kind, f"Flyball{kind.__name__}", _shapes, _convert, parser=_parse, options={"zipmap": [True, False]}
        )


def _parse(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:  # noqa: ARG001 - skl2onnx names it
    """CatBoost's classifier is no ClassifierMixin, which is how skl2onnx would know of its two outputs."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    operator = scope.declare_local_operator(f"Flyball{type(model).__name__}", model)
    operator.inputs = list(inputs)
    kinds = [("value", FloatTensorType)] if not _classifies(model) else [("label", Int64TensorType), ("scores", FloatTensorType)]
    for name, kind in kinds:
        operator.outputs.append(scope.declare_local_variable(name, kind()))
    return operator.outputs


def _shapes(operator: Any) -> None:
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows] if _classifies(operator.raw_operator) else [rows, 1]
    if _classifies(operator.raw_operator):
        operator.outputs[1].type.shape = [rows, len(operator.raw_operator.classes_)]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from onnx import helper

    names = [each.full_name for each in operator.inputs]
    if len(names) > 1:
        matrix = str(scope.get_unique_variable_name("features"))
        container.add_node("Concat", names, matrix, op_version=13, axis=1)
        names = [matrix]
    (trees,) = [node for node in _exported(operator.raw_operator).graph.node if node.op_type.startswith("TreeEnsemble")]
    container.add_node(
        trees.op_type, names, [output.full_name for output in operator.outputs], op_domain="ai.onnx.ml", op_version=1,
        **{item.name: helper.get_attribute_value(item) for item in trees.attribute},
    )  # fmt: skip


def _exported(model: Any) -> Any:
    import onnx

    with TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return onnx.load(str(path))


def _classifies(model: Any) -> bool:
    return type(model).__name__ == "CatBoostClassifier"
