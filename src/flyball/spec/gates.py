"""`gates:` what a trained model must show before it is registered."""

from typing import Self

from pydantic import Field, model_validator

from flyball.spec.fields import ErrorRate, Section
from flyball.spec.train import Metric


class AbsoluteGate(Section):
    metric: Metric
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("exactly one of at_least, at_most")
        return self


class ChampionGate(Section):
    metric: Metric
    margin: float = Field(default=0.0, ge=0.0)
    """The challenger may be worse by no more than this, in the metric's own unit."""
    alpha: ErrorRate = 0.05
    """Error rate of the interval of the paired difference, at this one look."""


class GatesSpec(Section):
    absolute: list[AbsoluteGate] = []
    champion: ChampionGate | None = None
    """None: the primary metric with a margin of a hundredth, and no more than a tenth of what the champion has or lacks; of errors in the label's unit, a hundredth
    of the champion's own (gates/decide.py)."""
    parity: float = Field(default=1e-4, gt=0.0)
    """Largest difference of any score between the trained and the served form, on the holdout, on rows trained on and on edge rows."""
    latency_p99_ms: float = Field(default=50.0, gt=0.0)
    """One row, served format; of code with what a call of its process costs."""
