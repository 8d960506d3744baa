"""A scikit-learn estimator as an ONNX graph with one input a column, which gives the scores and nothing else."""

from typing import Any

from flyball.adapters.conversion.converters import register_converters
from flyball.adapters.conversion.input_names import (
    apart_from,
    name_inputs,
    plain,
    put_columns_before,
    refuse_unnameable,
    replace_inputs,
)
from flyball.errors import TrainingError
from flyball.records.signature import ColumnType, Signature

TARGET_OPSET = {"": 21, "ai.onnx.ml": 3}
"""Read by every onnxruntime from 1.20; skl2onnx and LightGBM's converter know no newer version of the machine-learning operators."""

_KEEPING_TYPE = ("Div", "Exp", "Identity", "Reshape", "Sigmoid")
"""What may come between trees and the output."""

MATRIX = "flyball_matrix"


def of_columns(estimator: Any, signature: Signature, *, double: bool = False) -> bytes:
    """`double`: numbers become float64 behind the inputs, for models whose scores or steps need more digits than float32 has."""
    from onnx import TensorProto, helper
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = DoubleTensorType if double else FloatTensorType
    texts = {column.name for column in signature.columns if column.type is ColumnType.CATEGORY}
    inputs = [
        (plain(column.name), (StringTensorType if column.name in texts else number)([None, 1])) for column in signature.columns
    ]
    model = _converted(estimator, signature, inputs)
    name_inputs(model, signature)
    if double:
        apart = apart_from(signature)
        inner = {column.name: apart(f"{column.name}/double") for column in signature.columns if column.name not in texts}
        for node in model.graph.node:
            node.input[:] = [inner.get(name, name) for name in node.input]
        replace_inputs(model, signature)
        for place, (outer, name) in enumerate(inner.items()):
            model.graph.node.insert(place, helper.make_node("Cast", [outer], [name], to=TensorProto.DOUBLE))
        _correct_output(model)
    return bytes(model.SerializeToString())


def of_one_matrix(estimator: Any, signature: Signature, *, double: bool = False) -> bytes:
    """For an estimator that takes all columns as one matrix: converted so, with the columns put together in front of it. `double`, of numbers: as above."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    texts = signature.columns[0].type is ColumnType.CATEGORY
    number = DoubleTensorType if double else FloatTensorType
    kind = (StringTensorType if texts else number)([None, len(signature.columns)])
    model = _converted(estimator, signature, [(MATRIX, kind)])
    put_columns_before(model, signature, MATRIX, double=double)
    if double:
        _correct_output(model)
    return bytes(model.SerializeToString())


def _converted(estimator: Any, signature: Signature, inputs: list[Any]) -> Any:
    from skl2onnx import to_onnx
    from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

    refuse_unnameable(signature)
    register_converters()
    # scikit-learn scales a frame in double precision, and forests and boosters round that to single: done otherwise, a value
    # beside a split goes the other way.
    options: dict[Any, dict[str, Any]] = {scaler: {"div": "div_cast"} for scaler in (StandardScaler, RobustScaler, MaxAbsScaler)}
    if signature.task != "regression":
        options[id(estimator)] = {"zipmap": False}
    model = to_onnx(estimator, initial_types=inputs, options=options, target_opset=TARGET_OPSET)
    if not model.graph.output:
        raise TrainingError("the converted model has no output")
    # TreeEnsemble is of version 5, which skl2onnx does not let a converter say.
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        for imported in model.opset_import:
            imported.version = 5 if imported.domain == "ai.onnx.ml" else imported.version
    _keep_only(model, model.graph.output[-1 if signature.task != "regression" else 0])
    return model


def _correct_output(model: Any) -> None:
    """Converters declare what comes out as of the type that goes in, or as float32, whatever their nodes compute; onnxruntime does not load what is declared wrongly."""
    from onnx import shape_inference

    (output,) = model.graph.output
    declared = output.type.tensor_type.elem_type
    # Inference believes what is declared, and knows nothing behind an operator that it does not know: FeatureVectorizer, which puts numbers alone together.
    output.type.tensor_type.elem_type = 0
    inferred = shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.elem_type
    output.type.tensor_type.elem_type = inferred or _of_trees(model) or declared


def _of_trees(model: Any) -> int:
    """Trees give float32 whatever goes in. 0: no trees lead to the output."""
    from onnx import TensorProto

    name = model.graph.output[0].name
    for node in reversed(model.graph.node):
        if name not in node.output:
            continue
        if node.op_type in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
            return int(TensorProto.FLOAT)
        if node.op_type not in _KEEPING_TYPE:
            break
        name = node.input[0]
    return 0


def _keep_only(model: Any, output: Any) -> None:
    """Leave out what does not lead to `output`: the label of a classifier costs as much as a small model."""
    kept: list[Any] = []
    wanted = {output.name}
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    copied = type(output)()
    copied.CopyFrom(output)
    constants = [constant for constant in model.graph.initializer if constant.name in wanted]
    del model.graph.node[:], model.graph.output[:], model.graph.initializer[:]
    model.graph.node.extend(reversed(kept))
    model.graph.output.append(copied)
    model.graph.initializer.extend(constants)
