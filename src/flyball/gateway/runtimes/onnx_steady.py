"""Whether how long a call of an ONNX graph takes, and how much it needs, depends on the values in its rows: then a few bytes of a request stop a gateway."""

from collections.abc import Iterable
from typing import Any

_LOOPS = frozenset({"Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"})
"""They turn as often as a value says."""
_SIZED = {
    "AffineGrid": (1,), "BlackmanWindow": (0,), "CenterCropPad": (1,), "Col2Im": (1, 2), "ConstantOfShape": (0,), "CropAndResize": (3,), "DFT": (1,),
    "Expand": (1,), "HammingWindow": (0,), "HannWindow": (0,), "MaxUnpool": (2,), "MelWeightMatrix": (0, 1, 2, 3, 4), "OneHot": (1,), "Pad": (1,),
    "Range": (0, 1, 2), "Resize": (2, 3), "STFT": (1, 3), "Tile": (1,), "Upsample": (1,),
}  # fmt: skip
"""What they answer is as large as these of their inputs say. All others answer what the shapes of their inputs, their attributes and these make of it."""
_NAMES = tuple(name.encode() for name in sorted({*_LOOPS, *_SIZED}))
_SHAPES = frozenset({"Shape", "Size"})


def is_steady(model: bytes) -> bool:
    """Of a model that onnxruntime has loaded. Sizes that come from constants and shapes are known (converters make such graphs); of a function's inputs
    nothing is."""
    if not any(name in model for name in _NAMES):
        return True  # most models: onnx need not be imported
    import onnx

    parsed = onnx.load_model_from_string(model)
    functions = (_is_steady(function.node, set()) for function in parsed.functions)
    return _is_steady(parsed.graph.node, _constants(parsed.graph)) and all(functions)


def _is_steady(nodes: Iterable[Any], known: set[str]) -> bool:
    """`known`: tensors whose values no row changes; nodes come in the order in which they are run."""
    for node in nodes:
        if node.op_type in _LOOPS:
            return False
        sizes = [node.input[at] for at in _SIZED.get(node.op_type, ()) if at < len(node.input)]
        if any(size and size not in known for size in sizes):
            return False
        inner = [graph for item in node.attribute for graph in (item.g, *item.graphs) if graph.node]
        if not all(_is_steady(graph.node, known | _constants(graph)) for graph in inner):
            return False
        if node.op_type in _SHAPES or (not inner and all(name in known for name in node.input if name)):
            known.update(node.output)
    return True


def _constants(graph: Any) -> set[str]:
    """One that is an input too may be given another value by a caller; ours gives columns alone."""
    return {each.name for each in graph.initializer} | {each.values.name for each in graph.sparse_initializer}
