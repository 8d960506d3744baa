"""`monitor:` windows and the false-alarm budget."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from flyball.spec.fields import Duration, Section, Share

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


class MonitorSpec(Section):
    window: Duration = Field(default="1d", validate_default=True)
    false_alarms: Annotated[FalseAlarms, BeforeValidator(parse_budget)] = FalseAlarms()
    min_rows: int = Field(default=50, ge=1)
    """A window with fewer predictions is shown and not tested."""
    mature_share: Share = 0.95
    """Without `data.label_delay`: a window is mature when this share of its predictions has labels. With it: when all have, or it has passed since the end."""
    tolerance: float = Field(default=0.01, ge=0.0)
    """Increase of the mean bounded loss over the baseline that is not worth an alarm."""
