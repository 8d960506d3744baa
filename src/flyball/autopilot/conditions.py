"""A policy's condition, ready to be asked."""

from functools import lru_cache
from typing import Any, NamedTuple

from flyball.spec.conditions import KEPT, UNTELLABLE, check_condition, compiled, nested


class Condition(NamedTuple):
    """Compiled; holds no state between questions."""

    text: str
    names: tuple[str, ...]
    program: Any

    def holds(self, signals: dict[str, Any]) -> bool | None:
        """Whether it is true of these signals; None: it cannot be told (a signal is missing, or an operation does not fit its values)."""
        try:
            answer = self.program.execute(nested(signals))
        except UNTELLABLE:
            return None
        return answer if isinstance(answer, bool) else None


@lru_cache(maxsize=KEPT)
def compile_condition(text: str) -> Condition:
    """Check syntax, names and type, and compile. Raises ValueError with what was expected and did you mean."""
    return Condition(text, check_condition(text), compiled(text))
