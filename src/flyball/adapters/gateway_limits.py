"""What an answer may cost, in the words of a gateway worker's command line."""

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a supervisor only waits: it holds no library that reads files
    from flyball.spec.serve import LimitsSpec


def limit_arguments(limits: "LimitsSpec", least_deadline: timedelta = timedelta()) -> tuple[str, ...]:
    return (
        "--max-body-mb", str(limits.max_body_mb),
        "--deadline-seconds", f"{max(limits.deadline, least_deadline).total_seconds():g}",
        "--memory-mb", str(limits.memory_mb),
    )  # fmt: skip
