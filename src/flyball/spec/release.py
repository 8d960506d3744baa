"""`release:` how a challenger becomes champion."""

from typing import Self

from pydantic import Field, model_validator

from flyball.spec.fields import Duration, Section, Share


class ShadowSpec(Section):
    at_least: Duration = Field(default="1h", validate_default=True)
    at_most: Duration = Field(default="7d", validate_default=True)
    """Without a pass by then the release is given up and the champion stays."""
    min_labels: int = Field(default=200, ge=0)


class CanaryStep(Section):
    traffic: Share
    at_least: Duration = Field(default="1h", validate_default=True)
    at_most: Duration = Field(default="7d", validate_default=True)
    min_requests: int = Field(default=50, ge=0)


class ReleaseSpec(Section):
    shadow: ShadowSpec | None = ShadowSpec()
    """null: no shadow; the quality guard must then pass in the canary."""
    steps: list[CanaryStep] = [CanaryStep(traffic=0.1), CanaryStep(traffic=0.5)]
    watch: Duration = Field(default="7d", validate_default=True)
    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Error rate of the whole release: chance that any guard's verdict is wrong, at all looks together."""
    margin: float = Field(default=0.01, ge=0.0)
    """Non-inferiority margin of the quality guard: mean paired difference of the bounded loss (Brier score; for regression absolute error over its scale)."""
    max_error_rate_increase: float = Field(default=0.01, ge=0.0, le=1.0)
    """Operational guard: rows that the challenger could not answer, minus the champion's."""
    approval: bool = False
    """A person must agree before the challenger takes all traffic."""

    @model_validator(mode="after")
    def steps_grow(self) -> Self:
        shares = [step.traffic for step in self.steps]
        if shares != sorted(set(shares)) or (shares and (shares[0] <= 0 or shares[-1] >= 1)):
            raise ValueError("canary steps with growing traffic between 0% and 100%, both excluded")
        return self
