"""Models whose answers are known and whose troubles are ordered."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from bench.model import NAMES, SIGNATURE, package
from flyball.records.routing import ServedUnit
from flyball.records.unit import Format


def linear(weight: float) -> bytes:
    """ONNX: sigmoid(weight × mean of the columns)."""
    from onnx import TensorProto, helper, numpy_helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in NAMES]
    output = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    weights = numpy_helper.from_array(np.full((len(NAMES), 1), weight / len(NAMES), dtype=np.float32), "w")
    nodes = [
        helper.make_node("Concat", list(NAMES), ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
    ]
    graph = helper.make_graph(nodes, "linear", inputs, [output], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def linear_unit(directory: Path, number: int) -> ServedUnit:
    """Of several that answer differently."""
    return package(directory / f"linear-{number}", linear(0.01 * (number + 1)), unit_id=f"u{number:012d}")


class CodeModel:
    """A user's class. It notes each call in a journal, as nobody else can: time, rows, the first column."""

    def __init__(
        self, *, seconds_a_row: float = 0.0, seconds_a_call: float = 0.0, journal: str = "", fails: str = "", noise: int = 0
    ) -> None:
        """`fails`: while that file exists every second call raises. `noise`: bytes printed at each call."""
        self.seconds_a_row, self.seconds_a_call = seconds_a_row, seconds_a_call
        self.journal, self.fails, self.noise = journal, fails, noise
        self.calls = 0

    def predict_proba(self, frame: Any) -> Any:
        self.calls += 1
        begun = time.monotonic()
        print("x" * self.noise)
        broken = bool(self.fails) and os.path.exists(self.fails) and self.calls % 2 == 0
        first = frame[:, 0].to_numpy()
        if self.journal:
            line = f"{begun:.6f} {len(frame)} {int(broken)} {' '.join(f'{value:.3f}' for value in first.tolist())}\n"
            with open(self.journal, "a") as file:
                file.write(line)
        time.sleep(self.seconds_a_call + self.seconds_a_row * len(frame))
        if broken:
            raise ValueError("out of order")
        p = np.full(len(frame), 0.25)
        return np.column_stack([1 - p, p])


def code_unit(directory: Path, name: str, model: CodeModel) -> ServedUnit:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    unit_id = "u" + f"{abs(hash(name)):x}".rjust(12, "0")[:12]
    return package(directory / name, cloudpickle.dumps(model), SIGNATURE, unit_id, Format.CODE)
