"""What flyball.yaml asks of a release, and how its error rate is divided over the guards."""

from datetime import timedelta
from typing import Literal

import msgspec

from flyball.release.metrics import FAILURE_RATE, LOSS, METRICS
from flyball.spec import ProjectSpec
from flyball.spec.release import PATIENCE, BanditSpec, ReleaseSpec

LOSS_WEIGHT = 4.0
"""Parts of alpha where every other guard has one. Quality decides by hundredths and needs the narrow interval; a challenger that cannot answer is plain
at any rate."""
REPLAY_SHARE = 0.2
"""Of alpha, where captured requests are replayed first."""
WATCHES = 2
"""Lengths of the watch after which a release that could not be measured is taken back: failed measurements hold, but not for ever."""

ROWS_BEFORE_ALL = 50
"""That a challenger scores in the shadow where all traffic follows at once: as many as a canary step asks for."""


class ShadowRule(msgspec.Struct, frozen=True, kw_only=True):
    at_least: timedelta
    at_most: timedelta
    min_labels: int
    share: float = 1.0
    """Of the keys."""
    min_requests: int | msgspec.UnsetType = msgspec.UNSET
    """Unset: none. So are the rules of before, and what people agreed to by their digest."""


class StepRule(msgspec.Struct, frozen=True, kw_only=True):
    traffic: float
    """Share of keys in (0, 1)."""
    at_least: timedelta
    at_most: timedelta
    min_requests: int


class BanditRule(msgspec.Struct, frozen=True, kw_only=True):
    least: float
    most: float
    every: timedelta


class GuardRule(msgspec.Struct, frozen=True, kw_only=True):
    """One question that is asked of a challenger at every look."""

    name: str
    metric: str
    margin: float
    """The challenger may be worse by so much, in the metric's own unit."""
    alpha: float
    """Chance that its verdict is wrong, at all looks together."""
    must: Literal["pass", "not_fail"]
    labels: bool
    """Needs mature labels."""
    shown: bool
    """Only of answers that users got."""
    between: tuple[float, float] | None = None
    slice: str | None = None
    """Judged on its rows alone."""

    @property
    def ripens(self) -> bool:
        """Rests on what becomes known later: labels, and rewards, which come with them."""
        return self.labels or self.metric == "reward"


class ReplayRule(msgspec.Struct, frozen=True, kw_only=True):
    rows: int
    guards: tuple[GuardRule, ...]
    """Asked once, of captured requests, with a part of alpha of their own. They can only stop."""


class ReleasePolicy(msgspec.Struct, frozen=True, kw_only=True):
    shadow: ShadowRule | None
    steps: tuple[StepRule, ...]
    watch: timedelta
    watch_at_most: timedelta
    alpha: float
    """Chance that any verdict of the release is wrong, at all looks together: the guards' add up to it."""
    guards: tuple[GuardRule, ...]
    approval: bool | Literal["another"]
    """Whether a person is asked; `another`: not whoever started the run."""
    labels: Literal["before_full", "while_watching", "never"] = "before_full"
    bandit: BanditRule | None = None
    replay: ReplayRule | None = None
    blocks: bool = False
    """The loss is judged by means of blocks."""
    label_delay: timedelta = timedelta(0)
    """Age from which a row's label counts."""

    @property
    def words(self) -> str:
        """How the error rate is divided."""
        shares: dict[float, list[str]] = {}
        for rule in (*self.guards, *(self.replay.guards if self.replay else ())):
            shares.setdefault(float(f"{rule.alpha:.4g}"), []).append(rule.name)
        parts = ", ".join(f"{share:g} for {' and for '.join(names)}" for share, names in shares.items())
        return f"error rate {self.alpha:g} of the whole release, at all looks together: {parts}"

    @property
    def longest(self) -> timedelta:
        """That any phase before all traffic may take: the deadline of what has none of its own."""
        phases = (*self.steps, *((self.shadow,) if self.shadow is not None else ()))
        return max((phase.at_most for phase in phases), default=self.watch_at_most)

    @property
    def longest_for_labels(self) -> timedelta:
        """That any phase may take which waits for what becomes known later."""
        return max(self.longest, self.watch_at_most) if self.labels == "while_watching" else self.longest

    @property
    def both_answer(self) -> timedelta:
        """The longest that users get answers of both units."""
        return sum((step.at_most for step in self.steps), timedelta(0))


def _shadowed_rows(release: ReleaseSpec) -> int | msgspec.UnsetType:
    """Where all traffic follows at once and no label is waited for, a handful would decide."""
    asked = release.shadow.min_requests if release.shadow is not None else None
    return asked or msgspec.UNSET if asked is not None or release.steps else ROWS_BEFORE_ALL


def policy_of(spec: ProjectSpec) -> ReleasePolicy:
    """What flyball.yaml asks for."""
    release = spec.release
    declared = release.shadow
    bandit = release.bandit or (BanditSpec() if release.strategy == "bandit" else None)
    delay = spec.data.label_delay or timedelta(0)
    late = delay if release.labels == "while_watching" else timedelta(0)
    return ReleasePolicy(
        shadow=None
        if declared is None
        else ShadowRule(
            at_least=declared.at_least,
            at_most=PATIENCE + delay if declared.at_most is None else declared.at_most,
            min_labels=declared.min_labels,
            share=declared.share,
            min_requests=_shadowed_rows(release),
        ),
        steps=tuple(
            StepRule(
                traffic=step.traffic,
                at_least=step.at_least,
                at_most=PATIENCE + delay if step.at_most is None else step.at_most,
                min_requests=step.min_requests,
            )
            for step in release.steps
        ),
        watch=release.watch,
        watch_at_most=WATCHES * release.watch + late if release.watch_at_most is None else release.watch_at_most,
        label_delay=delay,
        alpha=release.alpha,
        guards=_guards(spec),
        approval=release.approval,
        labels=release.labels,
        blocks=release.dependence == "block",
        replay=ReplayRule(rows=release.replay.rows, guards=_replay_guards(spec)) if release.replay is not None else None,
        bandit=BanditRule(least=bandit.least, most=bandit.most, every=bandit.every) if bandit else None,
    )


def _guards(spec: ProjectSpec) -> tuple[GuardRule, ...]:
    """Loss and failures always; alpha is divided so that nothing of it is lost or spent twice."""
    release = spec.release
    rules = [_rule(LOSS, LOSS, release.margin, "pass"), _rule(FAILURE_RATE, FAILURE_RATE, release.max_error_rate_increase)]
    for declared in release.guards:
        decides = declared.metric == "reward" and release.strategy in {"ab", "bandit"}
        made = _rule(declared.name, declared.metric, declared.margin, "pass" if decides else declared.must)
        rules.append(msgspec.structs.replace(made, between=declared.between, slice=declared.slice))
    weights = [LOSS_WEIGHT if rule.name == LOSS else 1.0 for rule in rules]
    whole = release.alpha * (1.0 - REPLAY_SHARE if release.replay is not None else 1.0)
    shares = [whole * weight / sum(weights) for weight in weights]
    shares[-1] = whole - sum(shares[:-1])
    return tuple(msgspec.structs.replace(rule, alpha=share) for rule, share in zip(rules, shares, strict=True))


def _replay_guards(spec: ProjectSpec) -> tuple[GuardRule, ...]:
    """Loss and failures, with the margins of the release, and whatever behavioural guard was declared."""
    release = spec.release
    rules = [
        _rule(f"replay:{LOSS}", LOSS, release.margin),
        _rule(f"replay:{FAILURE_RATE}", FAILURE_RATE, release.max_error_rate_increase),
    ]
    rules += [
        _rule(f"replay:{each.metric}", each.metric, each.margin)
        for each in release.guards
        if each.metric in {"disagreement", "score_shift"}
    ]
    share = REPLAY_SHARE * release.alpha / len(rules)
    return tuple(msgspec.structs.replace(rule, alpha=share) for rule in rules)


def _rule(name: str, metric: str, margin: float, must: Literal["pass", "not_fail"] = "not_fail") -> GuardRule:
    known = METRICS[metric]
    return GuardRule(
        name=name, metric=metric, margin=margin, alpha=0.0, must=must, labels=known.labels, shown=known.shown
    )  # fmt: skip
