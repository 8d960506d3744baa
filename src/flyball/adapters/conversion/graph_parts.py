"""Pieces of a graph in the making, for converters of our own."""

from typing import Any, NamedTuple


class Part(NamedTuple):
    """A named tensor (n_rows, n_columns) of the graph."""

    name: str
    element: int
    """A TensorProto's data type."""


def columns_of(scope: Any, inputs: list[Any], container: Any, *, apart: bool) -> list[Part]:
    """`apart`: each column by itself."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_proto_type

    found: list[Part] = []
    for each in inputs:
        element, width = guess_proto_type(each.type), each.get_second_dimension()
        if width == 1 or not apart:
            found.append(Part(each.full_name, element))
            continue
        for place in range(width):
            index, name = named(scope, "place"), named(scope, "column")
            container.add_initializer(index, TensorProto.INT64, [1], [place])
            container.add_node("Gather", [each.full_name, index], name, op_version=13, axis=1)
            found.append(Part(name, element))
    return found


def cast(scope: Any, container: Any, part: Part, element: int) -> str:
    if part.element == element:
        return part.name
    name = named(scope, "cast")
    container.add_node("Cast", part.name, name, op_version=13, to=element)
    return name


def named(scope: Any, what: str) -> str:
    return str(scope.get_unique_variable_name(what))
