"""Whose fault it is that a model cannot be fitted or asked: its own, of which a result may be kept, or the machine's."""

from collections.abc import Iterator

from flyball.errors import CodeChanged, FlyballError

_OF_THE_MACHINE = (OSError, ImportError)
"""Raised within a model's code they say nothing of the model."""
_NO_MEMORY = "alloc"
"""What onnxruntime says then is an error of its own: "Failed to allocate memory", "bad allocation"."""


def own_fault(error: FlyballError) -> bool:
    """Whether the model's question, its answers, its own code or rows that it does not take are why; not a lack of memory, files or libraries, nor code that
    changed meanwhile. (That its bytes are whole and load was seen before.)"""
    return not is_passing(error) and not any(isinstance(each, _OF_THE_MACHINE) for each in _foreign(error))


def is_passing(error: FlyballError) -> bool:
    """Whether the same asked again may well be answered: memory was short, or the code was edited meanwhile."""
    if isinstance(error, CodeChanged):
        return True
    return any(isinstance(each, MemoryError) or _NO_MEMORY in str(each).lower() for each in _foreign(error))


def _foreign(error: FlyballError) -> Iterator[BaseException]:
    return (each for each in _causes(error) if not isinstance(each, FlyballError))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
