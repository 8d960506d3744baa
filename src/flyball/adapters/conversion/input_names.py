"""The inputs of a graph, called as the columns are, whatever a column is called and whatever else the graph calls so."""

import re
from collections.abc import Callable
from copy import copy
from typing import Any

from flyball.errors import TrainingError
from flyball.records.signature import ColumnType, Signature

_PLAIN = "flyball_column_"


def register() -> None:
    from skl2onnx import update_registered_parser
    from sklearn.compose import ColumnTransformer

    update_registered_parser(ColumnTransformer, _parse)


def plain(name: str) -> str:
    """What skl2onnx is told that the column `name` is called: it makes identifiers of names (`order date` → `order_date`), and has names of its own
    that a column may have too."""
    return _PLAIN + name.encode().hex()


def readable(words: str) -> str:
    """What a converter says, with the columns called as they are."""
    return re.sub(f"{_PLAIN}((?:[0-9a-f]{{2}})+)", lambda found: bytes.fromhex(found[1]).decode(errors="replace"), words)


def name_inputs(model: Any, signature: Signature) -> None:
    """Of a graph whose inputs are the columns, called `plain`."""
    columns = {plain(column.name): column.name for column in signature.columns}
    clash = (_all_names(model.graph) - set(columns)).intersection(columns.values())
    other = apart_from(signature) if clash else str
    _rename(model.graph, lambda name: columns[name] if name in columns else other(name))


def put_columns_before(model: Any, signature: Signature, matrix: str, *, double: bool = False) -> None:
    """One input a column instead of the input `matrix`, which is of float64 where `double`."""
    from onnx import TensorProto, helper

    names = [column.name for column in signature.columns]
    if _all_names(model.graph).intersection(names):
        apart = apart_from(signature)
        _rename(model.graph, apart)
        matrix = apart(matrix)
    replace_inputs(model, signature)
    single = apart_from(signature)(f"{matrix}/single") if double else matrix
    model.graph.node.insert(0, helper.make_node("Concat", names, [single], axis=1))
    if double:
        model.graph.node.insert(1, helper.make_node("Cast", [single], [matrix], to=TensorProto.DOUBLE))


def replace_inputs(model: Any, signature: Signature) -> None:
    from onnx import TensorProto, helper

    del model.graph.input[:]
    for column in signature.columns:
        element = TensorProto.STRING if column.type is ColumnType.CATEGORY else TensorProto.FLOAT
        model.graph.input.append(helper.make_tensor_value_info(column.name, element, [None, 1]))


def apart_from(signature: Signature) -> Callable[[str], str]:
    """A name → one of its own that no column has."""
    prefix = "flyball/"
    while any(column.name.startswith(prefix) for column in signature.columns):
        prefix += "/"
    return lambda name: prefix + name if name else ""  # an empty one is an input that is left out


def refuse_unnameable(signature: Signature) -> None:
    """Raises TrainingError. To ONNX an input without a name is none, and onnxruntime reads a name to its first NUL."""
    for column in signature.columns:
        if not column.name or "\0" in column.name:
            raise TrainingError(f"rename the column {column.name!r}: ONNX cannot be made with that name")


def _parse(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:
    """Which columns a ColumnTransformer chooses is told to skl2onnx by their places, however they were chosen."""
    from skl2onnx._parse import _parse_sklearn_column_transformer

    by_place = copy(model)
    by_place.transformers_ = [
        (name, part, chosen if part == "drop" else _places(model, name, inputs)) for name, part, chosen in model.transformers_
    ]
    return _parse_sklearn_column_transformer(scope, by_place, inputs, custom_parsers=custom_parsers)


def _places(model: Any, transformer: str, inputs: list[Any]) -> list[int]:
    """Among the inputs. Like scikit-learn by name where frames were and are handed over, which may have other columns, or in another order, than was fitted."""
    places = [int(place) for place in model._transformer_to_input_indices[transformer]]
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None or not all(each.raw_name.startswith(_PLAIN) for each in inputs):
        return places
    given = [each.raw_name for each in inputs]
    return [given.index(plain(fitted[place])) for place in places]


def _all_names(graph: Any) -> set[str]:
    met = set[str]()

    def noted(name: str) -> str:
        met.add(name)
        return name

    _rename(graph, noted)
    return met


def _rename(graph: Any, called: Callable[[str], str]) -> None:
    """All that has a name, also in the branches and loops, which see the names outside them. `called` gives no two the same."""
    for node in graph.node:
        node.input[:] = [called(name) for name in node.input]
        node.output[:] = [called(name) for name in node.output]
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                _rename(inner, called)
    for each in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        each.name = called(each.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = called(sparse.values.name)
