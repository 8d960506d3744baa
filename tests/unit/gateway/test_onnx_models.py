"""Claims about an ONNX model, wherever it is opened: it is what its bytes say, and all that a call does is known before it is served."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from flyball.adapters.runtimes import open_model
from flyball.errors import ArtifactDamaged
from flyball.gateway.runtimes.onnx import OnnxRuntime
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format

SIGNATURE = Signature(task="regression", columns=(Column(name="a", type=ColumnType.NUMBER),))
OPENERS = [OnnxRuntime, lambda content, signature: open_model(Format.ONNX, content, signature)]


def model(nodes, initializers=(), functions=()):
    one_column = helper.make_tensor_value_info("a", TensorProto.FLOAT, [None, 1])
    score = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])
    graph = helper.make_graph(nodes, "g", [one_column], [score], initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions).SerializeToString()


def weight_in(file):
    """One float32, which lies in `file`."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", file), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


ADD = helper.make_node("Add", ["a", "w"], ["y"])


def in_a_function(file):
    nodes = [helper.make_node("Constant", [], ["w"], value=weight_in(file)), ADD]
    function = helper.make_function("own", "Own", ["a"], ["y"], nodes, [helper.make_opsetid("", 17)])
    return model([helper.make_node("Own", ["a"], ["y"], domain="own")], functions=[function])


EXTERNAL = [
    lambda file: model([ADD], [weight_in(file)]),
    lambda file: model([helper.make_node("Constant", [], ["w"], value=weight_in(file)), ADD]),
    in_a_function,
]


@pytest.mark.parametrize("opened", OPENERS)
@pytest.mark.parametrize("made", EXTERNAL)
def test_a_model_with_weights_in_another_file_is_refused_also_where_that_file_lies_at_hand(made, opened, tmp_path, monkeypatch):
    """It would be the owner's token in the project's directory, told a byte a request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.bin").write_bytes(np.float32(7).tobytes())
    with pytest.raises(ArtifactDamaged, match=r"onnxruntime does not load the model.*[Ee]xternal"):
        opened(made("x.bin"), SIGNATURE)


IDENTITY = helper.make_node("Identity", ["a"], ["y"])


def in_a_branch(file):
    """Of an `If` in which nothing uses it."""
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("t", "e")]
    then = helper.make_graph([helper.make_node("Identity", ["a"], ["t"])], "then", [], made[:1], [weight_in(file)])
    other = helper.make_graph([helper.make_node("Identity", ["a"], ["e"])], "else", [], made[1:])
    yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("", TensorProto.BOOL, [], [True]))
    return model([yes, helper.make_node("If", ["yes"], ["y"], then_branch=then, else_branch=other)])


@pytest.mark.parametrize("opened", OPENERS)
@pytest.mark.parametrize(
    "made",
    [
        lambda file: model([IDENTITY], [weight_in(file)]),
        lambda file: model([helper.make_node("Constant", [], ["w"], value=weight_in(file)), IDENTITY]),
        in_a_branch,
    ],
)
def test_weights_in_another_file_are_refused_also_where_nothing_uses_them(made, opened):
    with pytest.raises(ArtifactDamaged, match=r"the ONNX model keeps 'w' in another file|tensor name: w"):
        opened(made("x.bin"), SIGNATURE)


@pytest.mark.parametrize("opened", OPENERS)
def test_a_model_that_speaks_of_a_location_is_opened(opened):
    opened(model([helper.make_node("Identity", ["a"], ["y"], name="location")]), SIGNATURE)


NODE = helper.make_node
ONE = numpy_helper.from_array(np.array([1], np.int64), "one")
WEIGHT = numpy_helper.from_array(np.array([7], np.float32), "w")
AS_LARGE_AS_A_VALUE = [NODE("Cast", ["a"], ["n"], to=TensorProto.INT64), NODE("Reshape", ["n", "one"], ["size"])]
AS_LARGE_AS_THE_INPUT = [NODE("Shape", ["a"], ["shape"]), NODE("Gather", ["shape", "one"], ["size"])]
SIZED = [
    NODE("Expand", ["w", "size"], ["x"]),
    NODE("Tile", ["w", "size"], ["x"]),
    NODE("ConstantOfShape", ["size"], ["x"]),
]
SUM = [NODE("ReduceSum", ["x"], ["s"], keepdims=0), NODE("Add", ["a", "s"], ["y"])]


def function_of(nodes):
    own = helper.make_function("own", "Own", ["a", "one", "w"], ["y"], nodes, [helper.make_opsetid("", 17)])
    return model([NODE("Own", ["a", "one", "w"], ["y"], domain="own")], [ONE, WEIGHT], [own])


@pytest.mark.parametrize("sized", SIZED)
def test_a_graph_that_makes_as_much_as_a_value_in_a_row_says_is_not_steady_and_one_of_shapes_is(sized):
    """It ran on the event loop, and one number of one row took minutes and all memory."""
    wild = model([*AS_LARGE_AS_A_VALUE, sized, *SUM], [ONE, WEIGHT])
    assert not OnnxRuntime(wild, SIGNATURE).steady
    assert not OnnxRuntime(function_of([*AS_LARGE_AS_A_VALUE, sized, *SUM]), SIGNATURE).steady
    assert OnnxRuntime(model([*AS_LARGE_AS_THE_INPUT, sized, *SUM], [ONE, WEIGHT]), SIGNATURE).steady
    fixed = numpy_helper.from_array(np.array([3], np.int64), "size")
    assert OnnxRuntime(model([sized, *SUM], [fixed, WEIGHT]), SIGNATURE).steady


def test_a_graph_that_does_so_in_a_branch_is_not_steady_and_a_name_makes_none_so():
    branch = helper.make_graph([SIZED[0], *SUM[:1]], "b", [], [helper.make_tensor_value_info("s", TensorProto.FLOAT, None)])
    yes = NODE("Cast", ["size"], ["yes"], to=TensorProto.BOOL)
    either = NODE("If", ["yes"], ["t"], then_branch=branch, else_branch=branch)
    end = NODE("Add", ["a", "t"], ["y"])
    assert not OnnxRuntime(model([*AS_LARGE_AS_A_VALUE, yes, either, end], [ONE, WEIGHT]), SIGNATURE).steady
    assert OnnxRuntime(model([*AS_LARGE_AS_THE_INPUT, yes, either, end], [ONE, WEIGHT]), SIGNATURE).steady
    named = NODE("Add", ["a", "w"], ["y"], name="Loop, Scan, Expand")
    assert OnnxRuntime(model([named], [WEIGHT]), SIGNATURE).steady


@pytest.mark.parametrize("opened", OPENERS)
def test_what_is_no_onnx_is_refused_in_words(opened):
    with pytest.raises(ArtifactDamaged, match="onnxruntime does not load the model"):
        opened(b"no model", SIGNATURE)


def test_the_same_model_with_its_weights_in_its_own_bytes_is_opened_everywhere():
    content = model([ADD], [numpy_helper.from_array(np.array([7], np.float32), "w")])
    assert OnnxRuntime(content, SIGNATURE).score({"a": np.ones((2, 1), np.float32)}, 2).tolist() == [[8], [8]]
    assert open_model(Format.ONNX, content, SIGNATURE).score({"a": np.ones((2, 1), np.float32)}).tolist() == [[8], [8]]
