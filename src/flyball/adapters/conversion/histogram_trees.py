"""scikit-learn's HistGradientBoosting → ONNX, from the fitted trees.

skl2onnx 1.20 has a converter of its own, which onnx refuses since protobuf 6 (NumPy's booleans as integers), and which knows no categorical
splits and rounds thresholds to nearest. This one writes TreeEnsemble of ai.onnx.ml 5, whose BRANCH_MEMBER is a categorical split.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.adapters.conversion.graph_parts import Part, cast, columns_of, named
from flyball.adapters.conversion.thresholds import rounded_down
from flyball.errors import TrainingError

_AT_MOST, _MEMBER = 0, 6
"""Of `nodes_modes`: BRANCH_LEQ and BRANCH_MEMBER (ai.onnx.ml 5, TreeEnsemble)."""


class _Trees(NamedTuple):
    """Of one ensemble, inner nodes and leaves each numbered through."""

    roots: list[int]
    features: NDArray[np.int64]
    modes: NDArray[np.uint8]
    thresholds: NDArray[np.float64]
    missing_left: NDArray[np.int64]
    children: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]
    """Left, right: the child's number, and whether it is a leaf."""
    members: NDArray[np.float64]
    """Categories that go left, one set a categorical split, each ended by NaN."""
    targets: NDArray[np.int64]
    leaves: NDArray[np.float64]


def register() -> None:
    """Put it in the place of skl2onnx's own."""
    from skl2onnx import update_registered_converter
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    update_registered_converter(
        HistGradientBoostingClassifier, "FlyballHistogramClassifier", _shapes, _convert, options={"zipmap": [True, False]}
    )
    update_registered_converter(HistGradientBoostingRegressor, "FlyballHistogramRegressor", _shapes, _convert)


def _shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType

    kind = DoubleTensorType if _is_double(operator.inputs) else FloatTensorType
    rows = operator.inputs[0].get_first_dimension()
    classes = getattr(operator.raw_operator, "classes_", None)
    if classes is None:
        operator.outputs[0].set_type(kind([rows, 1]))
    else:
        operator.outputs[0].set_type(Int64TensorType([rows]))
        operator.outputs[1].set_type(kind([rows, len(classes)]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    model = operator.raw_operator
    double = _is_double(operator.inputs)
    matrix = _features(scope, operator, container, TensorProto.DOUBLE if double else TensorProto.FLOAT)
    classes = getattr(model, "classes_", None)
    raw = operator.outputs[0].full_name if classes is None and _link(model) == "IdentityLink" else named(scope, "raw")
    _add_trees(container, _gathered(model), (matrix, raw), double=double, n_targets=model.n_trees_per_iteration_)
    if classes is None:
        if _link(model) == "LogLink":
            container.add_node("Exp", raw, operator.outputs[0].full_name, op_version=13)
        elif _link(model) != "IdentityLink":
            raise TrainingError(f"HistGradientBoosting with the link {_link(model)}")
        return
    if list(classes) != list(range(len(classes))):
        raise TrainingError("HistGradientBoosting with classes that are not 0, 1, …")
    label, scores = (output.full_name for output in operator.outputs)
    if model.n_trees_per_iteration_ == 1:
        sign, both = named(scope, "sign"), named(scope, "both")
        container.add_initializer(sign, TensorProto.DOUBLE if double else TensorProto.FLOAT, [1, 2], [-1.0, 1.0])
        container.add_node("Mul", [raw, sign], both, op_version=14)
        container.add_node("Sigmoid", both, scores, op_version=13)
    else:
        container.add_node("Softmax", raw, scores, op_version=13, axis=1)
    container.add_node("ArgMax", scores, label, op_version=13, axis=1, keepdims=0)


def _features(scope: Any, operator: Any, container: Any, element: int) -> str:
    """Name of the matrix that the trees see: categorical columns first, as places in the lists of known ones; NaN for an unknown one."""
    encoded = _encoders(operator.raw_operator)
    columns = columns_of(scope, operator.inputs, container, apart=bool(encoded))
    parts = [_encode(scope, container, columns[place], known) for place, known in encoded.items()]
    parts += [column for place, column in enumerate(columns) if place not in encoded]
    names = [cast(scope, container, part, element) for part in parts]
    if len(names) == 1:
        return names[0]
    matrix = named(scope, "features")
    container.add_node("Concat", names, matrix, op_version=13, axis=1)
    return matrix


def _encoders(model: Any) -> dict[int, NDArray[Any]]:
    """Known categories of each categorical column, by its place in the estimator's input."""
    if model._preprocessor is None:
        return {}
    places = np.flatnonzero(model.is_categorical_)
    known = model._preprocessor.named_transformers_["encoder"].categories_
    return {int(place): categories for place, categories in zip(places, known, strict=True)}


def _encode(scope: Any, container: Any, column: Part, known: NDArray[Any]) -> Part:
    from onnx import TensorProto

    name = named(scope, "places")
    if column.element == TensorProto.STRING:
        source, keys = column.name, "keys_strings"
        listed: list[Any] = [str(value) for value in known]
    else:
        # A missing number is listed by scikit-learn's encoder and then missing to the trees: the same as what is not listed.
        source, keys = cast(scope, container, column, TensorProto.FLOAT), "keys_floats"
        listed = [float(value) for value in known if not np.isnan(value)]
    container.add_node(
        "LabelEncoder", source, name, op_domain="ai.onnx.ml", op_version=2,
        values_floats=[float(place) for place in range(len(listed))], default_float=float("nan"), **{keys: listed},
    )  # fmt: skip
    return Part(name, TensorProto.FLOAT)


def _gathered(model: Any) -> _Trees:
    """The baseline is added to the leaves of each target's first tree: one node less in the graph, and added in double precision."""
    parts: list[dict[str, NDArray[Any]]] = []
    roots: list[int] = []
    members: list[float] = []
    inner_before = leaves_before = 0
    baseline = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    for round_, predictors in enumerate(model._predictors):
        for target, tree in enumerate(predictors):
            part = _tree(tree, inner_before, leaves_before)
            part["leaves"] = part["leaves"] + (baseline[target] if round_ == 0 else 0.0)
            part["targets"] = np.full(part["leaves"].size, target)
            for row in part["sets"]:
                members += [*_places(tree.raw_left_cat_bitsets[row]), np.nan]
            roots.append(inner_before)
            inner_before, leaves_before = inner_before + part["features"].size, leaves_before + part["leaves"].size
            parts.append(part)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _Trees(
        roots, whole["features"], whole["modes"], whole["thresholds"], whole["missing_left"],
        ((whole["left"], whole["left_leaf"]), (whole["right"], whole["right_leaf"])), np.asarray(members), whole["targets"], whole["leaves"],
    )  # fmt: skip


def _tree(tree: Any, inner_before: int, leaves_before: int) -> dict[str, NDArray[Any]]:
    """Of one TreePredictor; `sets`: the row of its left set for each split by membership."""
    nodes = tree.nodes
    leaf = nodes["is_leaf"].astype(bool)
    number = np.where(leaf, np.cumsum(leaf) - 1 + leaves_before, np.cumsum(~leaf) - 1 + inner_before)
    inner = nodes[~leaf]
    if not inner.size:  # a tree of one leaf: one node, both of whose branches end there
        zero = np.zeros(1, dtype=np.int64)
        child = {"left": zero + leaves_before, "left_leaf": zero + 1, "right": zero + leaves_before, "right_leaf": zero + 1}
        return {
            "features": zero,
            "modes": zero,
            "thresholds": zero + 0.0,
            "missing_left": zero,
            "sets": zero[:0],
            "leaves": nodes["value"],
            **child,
        }
    categorical = inner["is_categorical"].astype(bool)
    # Only missing goes left: onnxruntime takes no empty set, and no place is at most -∞.
    empty = categorical & np.array(
        [
            not tree.raw_left_cat_bitsets[row].any() if by_set else False
            for by_set, row in zip(categorical, inner["bitset_idx"], strict=True)
        ]
    )
    member = categorical & ~empty
    return {
        "features": inner["feature_idx"], "modes": np.where(member, _MEMBER, _AT_MOST),
        "thresholds": np.where(categorical, np.where(empty, -np.inf, 0.0), inner["num_threshold"]),
        "missing_left": inner["missing_go_to_left"], "sets": inner["bitset_idx"][member], "leaves": nodes["value"][leaf],
        "left": number[inner["left"]], "left_leaf": leaf[inner["left"]], "right": number[inner["right"]], "right_leaf": leaf[inner["right"]],
    }  # fmt: skip


def _places(words: NDArray[np.uint32]) -> list[float]:
    """Of the bits that are set."""
    return [float(bit) for bit in range(32 * words.size) if int(words[bit // 32]) >> (bit % 32) & 1]


def _add_trees(container: Any, trees: _Trees, edge: tuple[str, str], *, double: bool, n_targets: int) -> None:
    from onnx import numpy_helper

    def tensor(values: NDArray[Any]) -> Any:
        return numpy_helper.from_array(values.astype(np.float64 if double else np.float32))

    def whole(values: NDArray[Any]) -> list[int]:
        return [int(value) for value in values]

    (left, left_leaf), (right, right_leaf) = trees.children
    # onnxruntime wants no set of members where no split is categorical.
    members = {"membership_values": tensor(trees.members)} if trees.members.size else {}
    container.add_node(
        "TreeEnsemble", edge[0], edge[1], op_domain="ai.onnx.ml", op_version=3, n_targets=n_targets, aggregate_function=1, post_transform=0,
        tree_roots=trees.roots, nodes_featureids=whole(trees.features), nodes_modes=numpy_helper.from_array(trees.modes.astype(np.uint8)),
        nodes_splits=tensor(trees.thresholds if double else rounded_down(trees.thresholds)), nodes_missing_value_tracks_true=whole(trees.missing_left),
        nodes_truenodeids=whole(left), nodes_trueleafs=whole(left_leaf), nodes_falsenodeids=whole(right), nodes_falseleafs=whole(right_leaf),
        leaf_targetids=whole(trees.targets), leaf_weights=tensor(trees.leaves), **members,
    )  # fmt: skip


def _link(model: Any) -> str:
    return type(model._loss.link).__name__


def _is_double(inputs: list[Any]) -> bool:
    from skl2onnx.common.data_types import DoubleTensorType

    return any(isinstance(each.type, DoubleTensorType) for each in inputs)
