"""What is kept of a model that failed, and what is left to be tried on a machine that is well again."""

import os
import signal
from concurrent.futures import BrokenExecutor

import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from flyball.adapters.steps.own_fault import own_fault
from flyball.errors import CodeChanged, DataError, FlyballError, TrainingError


def failed(error: BaseException) -> TrainingError:
    try:
        raise TrainingError("the function failed") from error
    except TrainingError as told:
        return told


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), OSError(28, "No space left on device"), ImportError("numpy"), BrokenExecutor("a worker is gone"),
        TerminatedWorkerError("A worker process managed by the executor was unexpectedly terminated."),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), RuntimeError("std::bad_alloc"), RuntimeError("bad allocation"),
        RuntimeError("[E:onnxruntime] Failed to allocate memory for requested buffer of size 12"),
        RuntimeError("Unable to allocate 8.00 GiB for an array"), RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("fork: Cannot allocate memory"),
    ],
    ids=str,
)  # fmt: skip
def test_a_machine_in_trouble_is_not_the_models_fault(error: BaseException) -> None:
    assert not own_fault(failed(error))


@pytest.mark.parametrize(
    "error",
    [ValueError("invalid allocation weights"), ValueError("allocate at least one class"), RuntimeError(""), KeyError("x")],
)
def test_what_a_model_itself_raises_is_its_fault(error: BaseException) -> None:
    assert own_fault(failed(error))


def test_what_a_model_has_put_aside_is_no_cause_and_what_it_failed_over_is() -> None:
    def raised(*, aside: bool) -> Exception:
        try:
            try:
                raise ImportError("an optional library")
            except ImportError:
                if aside:
                    raise ValueError("C must be positive") from None
                raise ValueError("C must be positive")  # noqa: B904 - as people write it
        except ValueError as error:
            return error

    assert own_fault(failed(raised(aside=True)))
    assert not own_fault(failed(raised(aside=False)))


def test_refusals_of_its_own_and_code_that_changed() -> None:
    refused: FlyballError = DataError("rows without a finite score")
    assert own_fault(refused)
    assert own_fault(failed(refused))
    assert not own_fault(CodeChanged("pipeline.py"))


def test_a_worker_of_the_models_own_that_is_killed_is_the_machines_doing() -> None:
    from joblib.externals.loky import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as workers, pytest.raises(BrokenExecutor) as told:
        workers.submit(_end_itself).result()
    assert not own_fault(failed(told.value))


def _end_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
