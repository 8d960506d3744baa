"""`monitor:` windows and the false-alarm budget."""

import re
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, field_validator

from flyball.spec.fields import EntryPoint, Name, Section, Share, Span
from flyball.spec.train import Metric

_BUDGET = re.compile(r"\s*1\s+per\s+(\d+)\s+windows?\s*")


class FalseAlarms(Section):
    windows: int = Field(default=90, ge=2)
    """One false alarm in so many windows, over all features and metrics of a model together."""


def parse_budget(value: Any) -> Any:
    """`1 per 90 windows`."""
    if isinstance(value, str):
        match = _BUDGET.fullmatch(value)
        if not match:
            raise ValueError("a budget such as '1 per 90 windows'")
        return FalseAlarms(windows=int(match[1]))
    return value


class SliceSpec(Section):
    """Rows that matter by themselves."""

    name: Name
    where: str = Field(min_length=1)
    """A condition in CEL over features, such as `origin == 'JFK' && minute_of_day > 1080`."""


class MonitorSpec(Section):
    window: Span = Field(default="1d", validate_default=True)
    false_alarms: Annotated[FalseAlarms, BeforeValidator(parse_budget)] = FalseAlarms()
    min_rows: int = Field(default=50, ge=1)
    """A window with fewer predictions is shown and not tested."""
    mature_share: Share = 0.95
    """Without `data.label_delay`: a window is mature when this share of its predictions has labels. With it: when all have, or it has passed since the end
    and no import goes on; fewer labels than `min_rows`, of which it would be judged untested, wait some days for others."""
    metrics: dict[Name, EntryPoint] = {}
    """Name → `module:function`, called as `function(labels, scores)` → a number, on each window's labels in a process of its own; shown, never alarmed."""
    tolerance: float = Field(default=0.01, ge=0.0)
    """Increase of the mean bounded loss over the baseline that is not worth an alarm."""
    slices: list[SliceSpec] = []
    """Judged for a worse loss under the same budget, beside the slices that are found."""

    @field_validator("metrics")
    @classmethod
    def names_are_their_own(cls, metrics: dict[str, str]) -> dict[str, str]:
        taken = sorted({*metrics} & {*get_args(Metric), "bounded_loss"})
        if taken:
            raise ValueError(f"names of their own, found {', '.join(taken)}, which Flyball measures itself")
        return metrics
