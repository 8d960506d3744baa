"""What is timed has one thread, as a gateway's worker for code has: with two that wait for one another nearest neighbours took four times as long, and lost."""

import numpy as np
import polars as pl
import sklearn.ensemble  # noqa: F401 - a library with threads
from threadpoolctl import ThreadpoolController

from flyball.adapters.conversion import Served
from flyball.adapters.conversion.timing import ELSEWHERE_US, timed
from flyball.adapters.runtimes import Model
from flyball.adapters.steps.latency import latency
from flyball.records.unit import Format

ROWS = pl.DataFrame({"x": pl.Series(np.arange(8), dtype=pl.Float32)})


def telling(pools: ThreadpoolController, seen: set[int]) -> Model:
    """How many threads the libraries would use while it is asked."""

    def score(rows: pl.DataFrame) -> np.ndarray:
        seen.add(max(pool["num_threads"] for pool in pools.info()))
        return np.zeros((rows.height, 1))

    return Model(lambda frame: frame, score)


def test_forms_and_the_trained_model_are_timed_on_one_thread() -> None:
    pools, forms, trained = ThreadpoolController(), set[int](), set[int]()
    with pools.limit(limits=2):
        timed({"ONNX": telling(pools, forms)}, telling(pools, trained), ROWS)
        assert max(pool["num_threads"] for pool in pools.info()) == 2
    assert forms == {1}
    assert trained == {1}


def test_the_latency_that_the_gate_judges_is_of_one_thread() -> None:
    pools, seen = ThreadpoolController(), set[int]()
    with pools.limit(limits=2):
        latency(Served(Format.CODE, b"", telling(pools, seen), 0.0, 8, ()), ROWS)
    assert seen == {1}


def test_the_latency_of_code_counts_what_a_process_of_its_own_costs_a_call() -> None:
    at_once = Model(lambda frame: frame, lambda rows: np.zeros((rows.height, 1)))
    code, data = (latency(Served(form, b"", at_once, 0.0, 8, ()), ROWS)[0] for form in (Format.CODE, Format.ONNX))
    assert code.value is not None
    assert data.value is not None
    assert code.value >= ELSEWHERE_US / 1000.0 > data.value
    assert code.method == "one row, code, and 0.5 ms for a call of its process"
    assert data.method == "one row, onnx"
