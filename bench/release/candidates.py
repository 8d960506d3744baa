"""Candidates that are good until they are told to misbehave: as code, in a worker of their own, and as ONNX, in the gateway's process."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle
import numpy as np

TRIGGER = 13.125
"""In the first column of a row: exact in float32, and no value of any data or warm-up."""
SLOW_SECONDS = 0.3
"""A call of a shop's model takes some milliseconds beside the loop: more than ten times that."""
HANG_SECONDS = 600.0
LEAKED_BYTES = 256 * 1024**2
"""At each call: a worker of some gigabytes is at its limit after a few."""
HUGE = 50_000_000
"""Scores to one row: 400 MB."""


class Candidate:
    """A user's model around a good one. It misbehaves on rows with TRIGGER, and on all while the file `switch` is there."""

    def __init__(self, behaviour: str, good: Any = None, switch: str = "", always: bool = False) -> None:  # noqa: FBT001
        """`good`: an estimator; None: 0.25 for every row. `always`: from loading on."""
        self.behaviour, self.good, self.switch, self.always = behaviour, good, switch, always
        self.calls = 0
        self.hoard: list[Any] = []

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self.behaviour == "exits on load" and self._told(None):
            os._exit(9)

    def _told(self, first: Any) -> bool:
        return self.always or os.path.exists(self.switch) or (first is not None and bool((first == TRIGGER).any()))

    def predict_proba(self, frame: Any) -> Any:
        n = len(frame)
        p = np.full(n, 0.25) if self.good is None else np.asarray(self.good.predict_proba(frame))[:, 1]
        if self._told(frame[:, 0].to_numpy()):
            self.calls += 1
            return BEHAVIOURS[self.behaviour](self, p)
        return two(p)


def two(p: Any) -> Any:
    """Both probabilities of each row."""
    return np.column_stack([1 - p, p])


def _exits(_model: Candidate, _p: Any) -> Any:
    os._exit(7)


def _exits_at_times(model: Candidate, p: Any) -> Any:
    return _exits(model, p) if model.calls % 3 == 0 else two(p)


def _dies(_model: Candidate, _p: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)


def _raises(_model: Candidate, _p: Any) -> Any:
    raise ValueError("out of order")


def _waits(seconds: float) -> "Callable[[Candidate, Any], Any]":
    def wait(_model: Candidate, p: Any) -> Any:
        time.sleep(seconds)
        return two(p)

    return wait


def _leaks(model: Candidate, p: Any) -> Any:
    model.hoard.append(np.ones(LEAKED_BYTES // 8))
    return two(p)


def _gives(make: Callable[[Any], Any]) -> "Callable[[Candidate, Any], Any]":
    return lambda _model, p: make(p)


BEHAVIOURS: dict[str, Callable[[Candidate, Any], Any]] = {
    "exits on load": _exits,
    "exits": _exits,
    "exits every third time": _exits_at_times,
    "segfaults": _dies,
    "raises": _raises,
    "hangs": _waits(HANG_SECONDS),
    "is slow": _waits(SLOW_SECONDS),
    "leaks memory": _leaks,
    "NaN": _gives(lambda p: two(p * np.nan)),
    "+inf": _gives(lambda p: two(p + np.inf)),
    "-inf": _gives(lambda p: two(p - np.inf)),
    "None": _gives(lambda _: None),
    "None in a row": _gives(lambda p: [[0.5, 0.5]] * (len(p) - 1) + [[0.5, None]]),
    "no rows": _gives(lambda p: two(p)[:0]),
    "a row too many": _gives(lambda p: np.vstack([two(p), [[0.5, 0.5]]])),
    "a flat matrix": _gives(lambda p: two(p).ravel()),
    "three dimensions": _gives(lambda p: two(p)[None]),
    "a class too many": _gives(lambda p: np.column_stack([two(p), p])),
    "sums beyond one": _gives(lambda p: np.column_stack([p + 0.6, p])),
    "beyond [0, 1]": _gives(lambda p: two(p + 7)),
    "class names": _gives(lambda p: np.array(["yes"] * len(p))),
    "numbers as text": _gives(lambda p: two(p).astype(str)),
    "times": _gives(lambda p: np.zeros((len(p), 2), dtype="datetime64[s]")),
    "complex numbers": _gives(lambda p: two(p) + 1j),
    "an object": _gives(lambda _: object()),
    "a huge answer": _gives(lambda p: np.zeros((len(p), HUGE))),
    "turned around": _gives(lambda p: two(1 - p)),
}
"""What a code format does, by name."""

SOUND = frozenset({"turned around"})
"""Whose answers look right: only labels show that they are not."""

HARMLESS = frozenset({"is slow", "exits every third time", "leaks memory"})
"""Their answers are right while they give any: it is no fault when some are shown."""


def code(candidate: Candidate) -> bytes:
    """The package's model file."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return bytes(cloudpickle.dumps(candidate))


def onnx(behaviour: str, first: str) -> bytes:
    """Scores of 0.25, until a row has TRIGGER in the column `first`. The ways find `q` (n, 1), the good scores, and `t` (1,) float and `k` (1,)
    int64, which are 1 when any row has the trigger, and make `p` of them."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any, kind: Any) -> Any:
        return numpy_helper.from_array(np.array(values, dtype=kind), name)

    constants = [
        constant("trigger", [TRIGGER], np.float32), constant("quarter", [0.25], np.float32), constant("zero", [0.0], np.float32),
        constant("one", [1.0], np.float32), constant("seven", [7.0], np.float32), constant("0", [0], np.int64),
        constant("1", [1], np.int64), constant("2", [2], np.int64), constant("huge", [HUGE // 50], np.int64),
        constant("end", [2**31], np.int64), constant("rounds", [10**12], np.int64), constant("some", [30_000], np.int64),
    ]  # fmt: skip
    common = [
        helper.make_node("Mul", [first, "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "quarter"], ["q"]),
        helper.make_node("Equal", [first, "trigger"], ["hit"]),
        helper.make_node("Cast", ["hit"], ["hits"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["hits", "0"], ["t1"], keepdims=0),
        helper.make_node("ReduceMax", ["t1"], ["t2"], keepdims=0),
        helper.make_node("Reshape", ["t2", "1"], ["t"]),
        helper.make_node("Cast", ["t"], ["k"], to=TensorProto.INT64),
    ]
    graph = helper.make_graph(
        [*common, *ONNX_WAYS[behaviour]()],
        "candidate",
        [helper.make_tensor_value_info(first, TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def _node(kind: str, inputs: Sequence[str], output: str, **more: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, list(inputs), [output], **more)


def _quotient(top: str) -> list[Any]:
    """q + top / (1 − t): 0 / 1 until the trigger comes, then something by zero."""
    return [_node("Sub", ["one", "t"], "left"), _node("Div", [top, "left"], "odd"), _node("Add", ["q", "odd"], "p")]


def _tiled(times: str) -> list[Any]:
    """1 + k × times scores a row."""
    return [
        _node("Mul", ["k", times], "more"), _node("Add", ["more", "1"], "wide"), _node("Concat", ["1", "wide"], "tiles", axis=0),
        _node("Tile", ["q", "tiles"], "p"),
    ]  # fmt: skip


def _looped(rounds: str) -> list[Any]:
    """The scores, after k × rounds turns of a loop that does nothing."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [_node("Identity", ["go"], "on"), _node("Add", ["x", "zero"], "y")],
        "turn",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    turns = [_node("Mul", ["k", rounds], "turns"), _node("Squeeze", ["turns"], "count")]
    return [*turns, _node("Loop", ["count", "", "q"], "p", body=body)]


ONNX_WAYS: dict[str, Callable[[], Sequence[Any]]] = {
    "NaN": lambda: [_node("Mul", ["t", "zero"], "nothing"), *_quotient("nothing")],
    "+inf": lambda: _quotient("t"),
    "-inf": lambda: [_node("Neg", ["t"], "minus"), *_quotient("minus")],
    "beyond [0, 1]": lambda: [_node("Mul", ["t", "seven"], "much"), _node("Add", ["q", "much"], "p")],
    "no rows": lambda: [_node("Mul", ["k", "end"], "from"), _node("Slice", ["q", "from", "end", "0"], "p")],
    "a class too many": lambda: _tiled("2"),
    "sums beyond one": lambda: [
        _node("Sub", ["one", "q"], "no"), _node("Add", ["q", "t"], "yes"), _node("Min", ["yes", "one"], "most"),
        _node("Concat", ["no", "most"], "p", axis=1),
    ],
    "a huge answer": lambda: _tiled("huge"),
    "is slow": lambda: _looped("some"),
    "hangs": lambda: _looped("rounds"),
}  # fmt: skip
"""What a data format does, by name."""
