"""What the ledger, which forgets nothing and which viewers read, is told of an exception that nobody foresaw."""

from flyball.errors import FlyballError

OURS = "flyball."


def for_the_ledger(error: Exception) -> str:
    """Of one that was foreseen, what it says."""
    return error.message if isinstance(error, FlyballError) else kind_and_place(error)


def kind_and_place(error: BaseException) -> str:
    """`ValueError in flyball.control.windows, line 120`: never its words, which may quote what a person sent. The last place of ours that it came through."""
    name, place, step = type(error).__name__, "", error.__traceback__
    while step is not None:
        module = str(step.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(OURS):
            place = f" in {module}, line {step.tb_lineno}"
        step = step.tb_next
    return name + place
