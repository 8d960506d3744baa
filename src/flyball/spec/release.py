"""`release:` how a challenger becomes champion."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flyball.spec.fields import Duration, ErrorRate, Name, Section, Share, parse_share

GuardMetric = Literal[
    "loss", "calibration", "failure_rate", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
    "disagreement", "score_shift", "score_shape", "latency_shape", "reward",
]  # fmt: skip
SHOWN = frozenset({"latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_shape", "score_shape", "reward"})
"""Metrics that compare answers which users got of both: only while a canary shares the traffic."""
PATIENCE = timedelta(days=7)
"""How long a phase waits for a pass where nothing is said, once labels can be there."""
AT_LEAST = "1h"
"""How long a phase before all traffic takes at least where nothing is said."""
Margin = Annotated[float, BeforeValidator(parse_share)]
"""A share such as 1 % or a number in the metric's own unit."""


def seldom(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("a duration of 1m or longer")
    return value


Seldom = Annotated[Duration, AfterValidator(seldom)]
"""How often something is done that takes seconds: sooner again it would never end."""


class ShadowSpec(Section):
    at_least: Duration = Field(default=AT_LEAST, validate_default=True)
    at_most: Duration | None = None
    """Without a pass by then the release is given up and the champion stays. Not given: 7d, and `data.label_delay` longer."""
    min_labels: int = Field(default=200, ge=0)
    # Not said, it is no part of what units and replays are told apart by: those of before it was there stay what they are.
    min_requests: int | None = Field(default=None, ge=0, exclude_if=lambda said: said is None)
    """Not before the challenger scored so many rows unseen. Not given: 50 where all traffic follows at once, and none where a step does, which has its own."""
    share: Share = Field(default=1.0, gt=0.0)
    """Of the keys: so much of the traffic is answered unseen."""


class ReplaySpec(Section):
    rows: int = Field(default=1000, ge=50, le=20_000)
    """The latest captured requests that the challenger is asked, before it sees a live one."""


class CanaryStep(Section):
    traffic: Share
    at_least: Duration = Field(default=AT_LEAST, validate_default=True)
    at_most: Duration | None = None
    """Without a pass by then it is rolled back. Not given: 7d, and `data.label_delay` longer."""
    min_requests: int = Field(default=50, ge=0)
    """Not before the challenger answered so many rows: a request may bring many."""


class BanditSpec(Section):
    """The challenger's share follows the chance that it is the better one (Thompson 1933)."""

    least: Share = 0.05
    most: Share = 0.95
    every: Duration = Field(default="1h", validate_default=True)

    @model_validator(mode="after")
    def room_between(self) -> Self:
        if not 0.0 < self.least < self.most < 1.0:
            raise ValueError("`least` below `most`, both between 0% and 100%, both excluded")
        if not self.every:
            raise ValueError("`every` longer than nothing: a share that moves at each look is never measured")
        return self


SHAPE_MARGIN = 0.1
LATENCY_MARGIN_MS = 0.1
"""A canary of a twentieth is asked a twentieth as often: of the same bytes it is up to 0.02 ms slower, since its caches are colder."""


class GuardSpec(Section):
    metric: GuardMetric
    margin: Margin = 0.0
    """How much worse the challenger may be, in the metric's own unit. Not given: 0; of a shape, 0.1; of a latency, 0.1 ms."""
    must: Literal["pass", "not_fail"] = "not_fail"
    """pass: promotion waits until it is shown to be within the margin; not_fail: until it is measured, and harm beyond the margin rolls back."""
    between: tuple[float, float] | None = None
    """reward only: the least and the most that one prediction can earn; what lies outside is cut off, and counted."""
    slice: Name | None = None
    """loss only: a name of `monitor.slices`; judged on its rows alone."""

    @model_validator(mode="before")
    @classmethod
    def pair_of_numbers(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("between"), list):
            ends = [float(end) if isinstance(end, int) and not isinstance(end, bool) else end for end in given["between"]]
            given = {**given, "between": tuple(ends)}
        if isinstance(given, dict) and str(given.get("metric")).endswith("_shape"):
            return {"margin": SHAPE_MARGIN, **given}  # any model trained anew scores a little otherwise
        if isinstance(given, dict) and str(given.get("metric")).startswith("latency_p"):
            return {"margin": LATENCY_MARGIN_MS, **given}
        return given

    @model_validator(mode="after")
    def fits_its_metric(self) -> Self:
        if (self.between is None) is (self.metric == "reward"):
            raise ValueError("`between: [least, most]` for the metric reward, and for no other")
        if self.between is not None and not self.between[0] < self.between[1]:
            raise ValueError("`between` with the lesser number first")
        if self.must == "pass" and self.metric.endswith("_shape"):
            raise ValueError("`must: not_fail` for a shape: that two distributions are the same cannot be shown")
        if self.slice is not None and self.metric != "loss":
            raise ValueError("`slice` for the metric loss alone")
        if self.margin < 0.0:
            raise ValueError("a margin of 0 or more")
        return self

    @property
    def name(self) -> str:
        """As verdicts and reports call it."""
        return f"{self.metric}:{self.slice}" if self.slice else self.metric


STEPS: dict[str, list[dict[str, Any]]] = {
    "canary": [{"traffic": 0.1}, {"traffic": 0.5}],
    "ab": [{"traffic": 0.5, "min_requests": 1000}],
    "blue_green": [],
    "bandit": [{"traffic": 0.1, "min_requests": 1000}],
}


class ReleaseSpec(Section):
    strategy: Literal["canary", "ab", "blue_green", "bandit"] = "canary"
    """canary: growing steps; ab: one step that lasts until the reward has decided; blue_green: all at once, the old one kept warm;
    bandit: the share follows the reward."""
    replay: ReplaySpec | None = None
    """First of all it answers requests that were captured. Not given: it does not."""
    shadow: ShadowSpec | None = ShadowSpec()
    """null: no shadow; the quality guard must then pass in the canary."""
    steps: list[CanaryStep] = []
    """Not given: 10 % and 50 % (ab: half; blue_green: none; bandit: 10 % to begin with)."""
    bandit: BanditSpec | None = None
    watch: Duration = Field(default="7d", validate_default=True)
    watch_at_most: Duration | None = None
    """What must still pass by then takes it back. Not given: twice `watch`; with `labels: while_watching` `data.label_delay` longer."""
    labels: Literal["before_full", "while_watching", "never"] = "before_full"
    """When the guards that need labels must have passed: before all traffic; where labels take weeks, afterwards, with the old unit kept warm; never,
    where there are none: then only harm that is shown counts."""
    dependence: Literal["tell", "block"] = "tell"
    """Of labelled rows that are alike. tell: the interval is true of these days, and it is said what they are worth; block: means of blocks are judged."""
    alpha: ErrorRate = 0.05
    """Error rate of the whole release: chance that any guard's verdict is wrong, at all looks together."""
    margin: float = Field(default=0.01, ge=0.0)
    """Non-inferiority margin of the quality guard: mean paired difference of the bounded loss (Brier score; for regression absolute error over its scale)."""
    max_error_rate_increase: float = Field(default=0.01, ge=0.0, le=1.0)
    """Operational guard: rows that the challenger could not answer, minus the champion's."""
    guards: list[GuardSpec] = []
    """Beside those two."""
    approval: bool | Literal["another"] = False
    """A person must agree before the challenger takes all traffic; another: one who comes by name (`flyball token add`, or an account), and neither started the
    run nor agreed to it."""
    drill: Seldom | None = None
    """How often a rollback is rehearsed. Not given: on demand (`flyball drill`)."""

    @model_validator(mode="before")
    @classmethod
    def steps_of_the_strategy(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("steps") is not None:
            return given
        return {**given, "steps": STEPS.get(str(given.get("strategy", "canary")), [])}

    @model_validator(mode="after")
    def steps_grow(self) -> Self:
        shares = [step.traffic for step in self.steps]
        if shares != sorted(set(shares)) or (shares and (shares[0] <= 0 or shares[-1] >= 1)):
            raise ValueError("canary steps with growing traffic between 0% and 100%, both excluded")
        return self

    @model_validator(mode="after")
    def strategy_is_whole(self) -> Self:
        count = len(self.steps)
        if self.strategy == "blue_green" and count:
            raise ValueError("no `steps` with strategy blue_green: all traffic moves at once")
        if self.strategy in {"ab", "bandit"}:
            if count != 1:
                raise ValueError(f"one step with strategy {self.strategy}, found {count}")
            if not any(guard.metric == "reward" for guard in self.guards):
                raise ValueError(f"a guard of the metric reward with strategy {self.strategy}")
        alone = sorted({guard.metric for guard in self.guards if guard.metric in SHOWN}) if not count else []
        if alone:
            raise ValueError(
                f"a step where {', '.join(alone)} can be measured: without one users never get answers of both at a time, and it would be taken back"
            )
        if self.shadow is None and not count and self.labels == "before_full":
            raise ValueError(
                "`labels: while_watching` or `never` where there is neither shadow nor step: nothing comes before all traffic"
            )
        if self.bandit is not None and self.strategy != "bandit":
            raise ValueError("`bandit` with strategy bandit alone")
        if self.watch_at_most is not None and self.watch_at_most < self.watch:
            raise ValueError("`watch_at_most` no shorter than `watch`")
        return self

    @model_validator(mode="after")
    def guards_are_told_apart(self) -> Self:
        names = ["loss", "failure_rate", *(guard.name for guard in self.guards)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"each guard once, found {', '.join(twice)} twice; `margin` and `max_error_rate_increase` are those of loss and failure_rate"
            )
        return self
