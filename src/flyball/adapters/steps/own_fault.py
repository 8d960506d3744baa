"""Whose fault it is that a model cannot be fitted or asked: its own, of which a result may be kept, or the machine's."""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from flyball.errors import CodeChanged, FlyballError

_OF_THE_MACHINE = (OSError, ImportError)
"""Raised within a model's code they say nothing of the model."""
_SHORT = (MemoryError, BrokenExecutor)
"""The last: a worker of joblib's was killed, mostly for want of memory."""
_NO_MEMORY = (
    "failed to allocate",
    "unable to allocate",
    "cannot allocate memory",
    "can't allocate memory",
    "bad_alloc",
    "bad allocation",
    "out of memory",
)
"""What onnxruntime, torch and C++ say then are errors of their own."""


def own_fault(error: FlyballError) -> bool:
    """Whether the model's question, its answers, its own code or rows that it does not take are why; not a lack of memory, files or libraries, nor code that
    changed meanwhile. (That its bytes are whole and load was seen before.)"""
    return not is_passing(error) and not any(isinstance(each, _OF_THE_MACHINE) for each in _foreign(error))


def is_passing(error: FlyballError) -> bool:
    """Whether the same asked again may well be answered: memory was short, or the code was edited meanwhile."""
    if isinstance(error, CodeChanged):
        return True
    return any(isinstance(each, _SHORT) or _wants_memory(str(each).lower()) for each in _foreign(error))


def _wants_memory(words: str) -> bool:
    return any(each in words for each in _NO_MEMORY)


def _foreign(error: FlyballError) -> Iterator[BaseException]:
    return (each for each in _causes(error) if not isinstance(each, FlyballError))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__context__ if cause.__cause__ is None and not cause.__suppress_context__ else cause.__cause__
