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


@pytest.mark.parametrize("opened", OPENERS)
def test_what_is_no_onnx_is_refused_in_words(opened):
    with pytest.raises(ArtifactDamaged, match="onnxruntime does not load the model"):
        opened(b"no model", SIGNATURE)


def test_the_same_model_with_its_weights_in_its_own_bytes_is_opened_everywhere():
    content = model([ADD], [numpy_helper.from_array(np.array([7], np.float32), "w")])
    assert OnnxRuntime(content, SIGNATURE).score({"a": np.ones((2, 1), np.float32)}, 2).tolist() == [[8], [8]]
    assert open_model(Format.ONNX, content, SIGNATURE).score({"a": np.ones((2, 1), np.float32)}).tolist() == [[8], [8]]
