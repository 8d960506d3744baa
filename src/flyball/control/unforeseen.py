"""An exception that nobody foresaw: what it keeps from its turn, and what the ledger, which forgets nothing and which viewers read, is told of it."""

from collections.abc import Callable

from flyball.errors import Fenced, FlyballError, StoreUnavailable

OURS = "flyball."


def tried(
    act: Callable[[], object], trouble: list[Exception], passing: tuple[type[Exception], ...] = (Fenced, StoreUnavailable)
) -> bool:
    """What fails, foreseen or not, keeps nothing else from its turn: it is added to `trouble`. Raises what is of `passing`."""
    try:
        act()
    except passing:
        raise
    except Exception as error:  # noqa: BLE001 - raised again at the tick's end, where it becomes a recorded event
        trouble.append(error)
        return False
    return True


def tell_first(trouble: list[Exception]) -> None:
    """When all had their turn."""
    if trouble:
        raise trouble[0]


def for_the_ledger(error: Exception) -> str:
    """Of one that was foreseen, what it says."""
    return error.message if isinstance(error, FlyballError) else kind_and_place(error)


def kind_and_place(error: BaseException) -> str:
    """`ValueError in flyball.control.windows, line 120`: never its words, which may quote what a person sent. The last place of ours that it came through."""
    name, place, step = type(error).__name__, "", error.__traceback__
    while step is not None:
        module = str(step.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(OURS) and module != __name__:  # whoever tried it says more
            place = f" in {module}, line {step.tb_lineno}"
        step = step.tb_next
    return name + place
