"""`policies:` what the autopilot may do about what it sees; `autopilot:` what bounds all of them together."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from flyball.spec.fields import Duration, Name, Section, Span, parse_duration

_BUDGET = re.compile(r"\s*(\d+)\s+per\s+(.+)")


class BudgetSpec(Section):
    times: int = Field(ge=1)
    per: Span


def parse_budget(value: Any) -> Any:
    """`4 per 30d`."""
    if isinstance(value, str):
        match = _BUDGET.fullmatch(value)
        if not match:
            raise ValueError("a budget such as '4 per 30d'")
        return BudgetSpec(times=int(match[1]), per=parse_duration(match[2]))
    return value


DoAction = Literal[
    "retrain", "improve", "recalibrate", "rethreshold", "reactivate", "roll_back", "stop", "notify", "ask"
]  # fmt: skip
Strategy = Literal["all", "recent", "since", "weighted", "retune", "earlier", "recalibrate", "rethreshold"]
FITS = frozenset({"retrain", "improve", "recalibrate", "rethreshold"})
"""Actions that fit something to rows."""
BINARY_ALONE = frozenset({"rethreshold"})


class DoSpec(Section):
    """What to do. In the file a bare word (`do: retrain`) or `do: {action: retrain, history: 60d}`."""

    action: DoAction
    history: Span | Literal["all", "since_change"] | None = None
    """Retrain on the last so much, or on the rows since the change that findings of the model tell of; None: as `train.history` says."""
    entrants: list[Strategy] | None = Field(default=None, min_length=1)
    """Improve: what is tried beside the champion; None: all that the project can do."""
    on_faults: bool = False
    """Fit also while a data-quality finding stands: a fault of the data is then learnt."""
    message: str = ""

    @model_validator(mode="after")
    def keys_fit_the_action(self) -> Self:
        if self.history is not None and self.action != "retrain":
            raise ValueError("history only with action: retrain")
        if self.entrants is not None and self.action != "improve":
            raise ValueError("entrants only with action: improve")
        if self.on_faults and self.action not in FITS:
            raise ValueError(f"on_faults only with an action that fits something: {', '.join(sorted(FITS))}")
        return self


def parse_do(value: Any) -> Any:
    return {"action": value} if isinstance(value, str) else value


class PolicySpec(Section):
    name: Name
    when: str = Field(min_length=1)
    """A condition in CEL over the signals listed in docs/reference/signals.md, such as `performance.alarm && champion.age_days > 7`."""
    for_windows: int = Field(default=1, ge=1, le=32, alias="for")
    """It must hold at so many window ends in a row."""
    do: Annotated[DoSpec, BeforeValidator(parse_do)]
    cooldown: Duration = Field(default="0s", validate_default=True)
    """Since this policy last acted; where a person is asked, since the question, and once they agreed, since then."""
    budget: Annotated[BudgetSpec, BeforeValidator(parse_budget)] | None = None
    needs: Literal["nobody", "approval"] = "nobody"


class BreakerSpec(Section):
    """When the autopilot is stopped until a person closes its breaker."""

    failures: int = Field(default=3, ge=1, le=16)
    """Challengers in a row that failed, were refused by their gate, or whose release was rolled back. That a tournament finds nobody better is no failure."""
    flip_flops: int = Field(default=2, ge=1, le=16)
    """Times that the champion went to another unit and back again."""
    within: Span = Field(default="30d", validate_default=True)
    """Of flip-flops: how long one may take, and how far back they count."""


Level = Literal["observe", "propose", "act"]


class AutonomySpec(Section):
    """How far policies may go by themselves: note what they would have done, ask a person each time, or act. A level falls by itself, never rises so."""

    retrain: Level = "act"
    improve: Level = "act"
    recalibrate: Level = "act"
    rethreshold: Level = "act"
    reactivate: Level = "act"
    roll_back: Level = "act"
    stop: Level = "act"


class AutopilotSpec(Section):
    """Bounds of all policies together."""

    autonomy: AutonomySpec = AutonomySpec()
    breaker: BreakerSpec = BreakerSpec()
