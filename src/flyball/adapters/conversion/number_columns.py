"""Encoders and imputers of numbers → ONNX, where skl2onnx's own stop: categories that are missing, and double precision."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flyball.adapters.conversion.graph_parts import Part, cast, columns_of, named

Convert = Callable[[Any, Any, Any], None]


def register() -> None:
    """In front of skl2onnx's own, which get what these do not know."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_shape_calculator
    from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
    from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
    from skl2onnx.operator_converters.ordinal_encoder import convert_sklearn_ordinal_encoder
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    for kind, name, knows, ours, theirs in (
        (OneHotEncoder, "SklearnOneHotEncoder", _knows_one_hot, _one_hot, convert_sklearn_one_hot_encoder),
        (OrdinalEncoder, "SklearnOrdinalEncoder", _knows_ordinal, _ordinal, convert_sklearn_ordinal_encoder),
        (SimpleImputer, "SklearnImputer", _knows_imputer, _impute, convert_sklearn_imputer),
    ):
        update_registered_converter(kind, name, get_shape_calculator(name), _either(knows, ours, theirs))


def _either(knows: Callable[[Any], bool], ours: Convert, theirs: Convert) -> Convert:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        (ours if _numeric(operator) and knows(operator.raw_operator) else theirs)(scope, operator, container)

    return convert


def _numeric(operator: Any) -> bool:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return all(isinstance(each.type, FloatTensorType | DoubleTensorType) for each in operator.inputs)


def _knows_one_hot(encoder: Any) -> bool:
    """An encoder that refuses what it has not seen must go on refusing, so that one is left to skl2onnx."""
    plain = encoder.drop is None and encoder.handle_unknown == "ignore" and not _has_rare(encoder)
    return bool(plain) and np.issubdtype(encoder.dtype, np.floating)


def _knows_ordinal(encoder: Any) -> bool:
    return encoder.handle_unknown == "use_encoded_value" and not _has_rare(encoder)


def _knows_imputer(imputer: Any) -> bool:
    statistics = np.asarray(imputer.statistics_)
    plain = not imputer.add_indicator and isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    # A column that was always missing is dropped, and its statistic is NaN.
    return bool(plain) and statistics.dtype.kind == "f" and not np.isnan(statistics).any()


def _has_rare(encoder: Any) -> bool:
    return encoder.min_frequency is not None or encoder.max_categories is not None


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    bits = []
    for column, known in zip(
        columns_of(scope, operator.inputs, container, apart=True), operator.raw_operator.categories_, strict=True
    ):
        listed = [float(value) for value in known if not np.isnan(value)]
        if listed:
            keys = _constant(scope, container, column, [1, len(listed)], listed)
            bits.append(_node(scope, container, "Equal", [column.name, keys]))
        if len(listed) < len(known):  # scikit-learn puts the missing one last
            bits.append(_node(scope, container, "IsNaN", [column.name]))
    whole = bits[0] if len(bits) == 1 else _node(scope, container, "Concat", bits, axis=1)
    container.add_node("Cast", whole, operator.outputs[0].full_name, op_version=13, to=TensorProto.FLOAT)


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    encoder = operator.raw_operator
    places = []
    for column, known in zip(columns_of(scope, operator.inputs, container, apart=True), encoder.categories_, strict=True):
        listed = [float(value) for value in known if not np.isnan(value)]
        single = Part(cast(scope, container, column, TensorProto.FLOAT), TensorProto.FLOAT)
        place = named(scope, "place")
        container.add_node(
            "LabelEncoder", single.name, place, op_domain="ai.onnx.ml", op_version=2, keys_floats=listed,
            values_floats=[float(number) for number in range(len(listed))], default_float=float(encoder.unknown_value),
        )  # fmt: skip
        if len(listed) < len(known):
            missing = _constant(scope, container, single, [1, 1], [float(encoder.encoded_missing_value)])
            place = _node(scope, container, "Where", [_node(scope, container, "IsNaN", [single.name]), missing, place])
        places.append(place)
    whole = places[0] if len(places) == 1 else _node(scope, container, "Concat", places, axis=1)
    wanted = TensorProto.FLOAT if np.issubdtype(encoder.dtype, np.floating) else TensorProto.INT64
    container.add_node("Cast", whole, operator.outputs[0].full_name, op_version=13, to=wanted)


def _impute(scope: Any, operator: Any, container: Any) -> None:
    columns = columns_of(scope, operator.inputs, container, apart=False)
    matrix = columns[0].name if len(columns) == 1 else _node(scope, container, "Concat", [each.name for each in columns], axis=1)
    statistics = [float(value) for value in operator.raw_operator.statistics_]
    fill = _constant(scope, container, columns[0], [1, len(statistics)], statistics)
    missing = _node(scope, container, "IsNaN", [matrix])
    container.add_node("Where", [missing, fill, matrix], operator.outputs[0].full_name, op_version=16)


_VERSIONS = {"Concat": 13, "Equal": 19, "IsNaN": 20, "Where": 16}


def _node(scope: Any, container: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
    name = named(scope, kind.lower())
    container.add_node(kind, inputs, name, op_version=_VERSIONS[kind], **attributes)
    return name


def _constant(scope: Any, container: Any, like: Part, shape: list[int], values: list[float]) -> str:
    name = named(scope, "constant")
    container.add_initializer(name, like.element, shape, values)
    return name
