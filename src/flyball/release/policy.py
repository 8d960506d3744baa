"""What flyball.yaml asks of a release, and how its error rate is divided over the guards."""

from datetime import timedelta

import msgspec

from flyball.spec import ProjectSpec

QUALITY_SHARE = 0.8
"""Of alpha. Quality decides by hundredths and needs the narrow interval; a challenger that cannot answer is plain at any rate."""


class ShadowRule(msgspec.Struct, frozen=True, kw_only=True):
    at_least: timedelta
    at_most: timedelta
    min_labels: int


class StepRule(msgspec.Struct, frozen=True, kw_only=True):
    traffic: float
    """Share of keys in (0, 1)."""
    at_least: timedelta
    at_most: timedelta
    min_requests: int


class ReleasePolicy(msgspec.Struct, frozen=True, kw_only=True):
    shadow: ShadowRule | None
    steps: tuple[StepRule, ...]
    watch: timedelta
    alpha: float
    """Chance that any verdict of the release is wrong, at all looks together: the two below add up to it."""
    quality_alpha: float
    failures_alpha: float
    margin: float
    """Of the mean paired difference of the bounded loss, challenger − champion."""
    max_error_rate_increase: float
    approval: bool

    @property
    def words(self) -> str:
        """How the error rate is divided."""
        return (
            f"error rate {self.alpha:g} of the whole release, at all looks together: "
            f"{self.quality_alpha:g} for quality, {self.failures_alpha:g} for failures"
        )


def policy_of(spec: ProjectSpec) -> ReleasePolicy:
    """What flyball.yaml asks for."""
    release = spec.release
    declared = release.shadow
    shadow = (
        ShadowRule(at_least=declared.at_least, at_most=declared.at_most, min_labels=declared.min_labels)
        if declared is not None
        else None
    )
    return ReleasePolicy(
        shadow=shadow,
        steps=tuple(
            StepRule(traffic=step.traffic, at_least=step.at_least, at_most=step.at_most, min_requests=step.min_requests)
            for step in release.steps
        ),
        watch=release.watch,
        alpha=release.alpha,
        quality_alpha=QUALITY_SHARE * release.alpha,
        failures_alpha=release.alpha - QUALITY_SHARE * release.alpha,
        margin=release.margin,
        max_error_rate_increase=release.max_error_rate_increase,
        approval=release.approval,
    )
