"""The evidence of a release: each guard's question put to what gateways captured of champion and challenger."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.capture.join import LabelJoin, failed_rows
from flyball.capture.joined import Pairs, Span
from flyball.control.observe import Observation, micros_of
from flyball.control.pairing import PairLog
from flyball.control.release_tally import Matched
from flyball.control.rewards import RewardLog, Rewards
from flyball.control.units import UnitShelf
from flyball.control.world import World, micros
from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.release import guards
from flyball.release.bandit import RewardSeen
from flyball.release.policy import GuardRule, ReleasePolicy
from flyball.stats.losses import bounded_loss

Floats = npt.NDArray[np.float64]


class Measured(NamedTuple):
    """What there is to judge at one look."""

    requests_in_phase: int
    labels: int
    evidence: tuple[Evidence, ...]
    rewards: tuple[RewardSeen, ...] = ()


NOTHING = Measured(0, 0, ())


class Measuring:
    """Of the release under way: remembers the order in which rows were looked at, so that later looks only append."""

    def __init__(self, world: World, shelf: UnitShelf, observation: Observation) -> None:
        self._world = world
        self._shelf = shelf
        self._observation = observation
        self._labelled, self._scored = PairLog(), PairLog()
        self._rewards = RewardLog()

    def look(self, release: ReleaseState, policy: ReleasePolicy) -> Measured:
        """Everything that the policy's guards ask for, as far as it can be measured now."""
        if release.verified_at is None or release.champion is None:
            return NOTHING
        seen = _Seen(self, release, release.champion, policy)
        phase_us, until_us = micros(release.verified_at), seen.now_us + 1
        scored = seen.join.scored if release.phase is Phase.SHADOW else lambda unit, a, b: seen.join.answered(a, b, unit)
        asked = [rule for rule in policy.guards if rule.metric in _QUESTIONS]
        evidence = tuple(_QUESTIONS[rule.metric](seen, rule) for rule in asked)
        rewards = _rewards_seen(seen.rewards()) if policy.bandit is not None else ()
        return Measured(scored(release.challenger, phase_us, until_us), len(seen.labelled().rows), evidence, rewards)

    def labelled(self, seen: "_Seen") -> Pairs:
        delay = micros_of(self._world.spec.data.label_delay or timedelta(0))
        span = Span(seen.opened_us, seen.now_us + 1, seen.now_us, delay)
        pairs = seen.join.pairs(seen.champion, seen.release.challenger, span)
        return self._labelled.extend(seen.release.id, pairs)

    def scored(self, seen: "_Seen") -> Pairs:
        span = Span(seen.opened_us, seen.now_us + 1, seen.now_us)
        pairs = seen.join.pairs(seen.champion, seen.release.challenger, span, labelled=False)
        return self._scored.extend(seen.release.id, pairs)

    def matched(self, seen: "_Seen") -> Matched:
        self._observation.release_tally.settle(seen.now_us)
        return self._observation.release_tally.matched()

    def rewards(self, seen: "_Seen") -> Rewards:
        return self._rewards.extend(seen.release.id, seen.matched(), seen.join.rewards)

    def threshold(self, unit: str) -> float:
        """Binary: where its positive class begins."""
        threshold = self._shelf.unit(unit).threshold
        return 0.5 if threshold is None else threshold

    @property
    def world(self) -> World:
        return self._world

    @property
    def observation(self) -> Observation:
        return self._observation


class _Seen:
    """One look's data, each read once."""

    def __init__(self, measuring: Measuring, release: ReleaseState, champion: str, policy: ReleasePolicy) -> None:
        self._measuring = measuring
        self.release, self.champion, self.policy = release, champion, policy
        self.task = measuring.world.spec.task
        self.join: LabelJoin = measuring.observation.joined_for(champion)
        self.now_us, self.opened_us = micros(measuring.world.now()), micros(release.opened_at)
        self._labelled: Pairs | None = None
        self._scored: Pairs | None = None
        self._matched: Matched | None = None

    def labelled(self) -> Pairs:
        if self._labelled is None:
            self._labelled = self._measuring.labelled(self)
        return self._labelled

    def scored(self) -> Pairs:
        if self._scored is None:
            self._scored = self._measuring.scored(self)
        return self._scored

    def matched(self) -> Matched:
        if self._matched is None:
            self._matched = self._measuring.matched(self)
        return self._matched

    def rewards(self) -> Rewards:
        return self._measuring.rewards(self)

    @property
    def scale(self) -> float:
        """Of regression losses, in the label's unit."""
        return self._measuring.observation.files.reference(self.champion).scale

    def unit_scores(self, scores: Floats) -> Floats:
        """One number in [0, 1] a row: the positive class's probability, the largest one, or the value over its scale (a logistic of it: unbounded)."""
        if self.task == "regression":
            return np.asarray(0.5 + np.arctan(scores[:, 0] / self.scale) / np.pi)
        return scores[:, 0] if self.task == "binary" else scores.max(axis=1)

    def threshold(self, unit: str) -> float:
        return self._measuring.threshold(unit)


def _loss(seen: _Seen, rule: GuardRule) -> Evidence:
    pairs = seen.labelled()
    labels = pairs.labels if seen.task == "regression" else pairs.labels.astype(np.int64)
    old, new = (bounded_loss(seen.task, scores, labels, seen.scale) for scores in (pairs.first, pairs.second))
    return guards.loss(old, new, rule, blocks=seen.policy.blocks)


def _failure_rate(seen: _Seen, rule: GuardRule) -> Evidence:
    counts = []
    for unit in (seen.champion, seen.release.challenger):
        failed = failed_rows(seen.join, unit, seen.opened_us, seen.now_us + 1)
        counts.append((failed, failed + seen.join.scored(unit, seen.opened_us, seen.now_us + 1)))
    return guards.failure_rate(counts[0], counts[1], rule)


def _calibration(seen: _Seen, rule: GuardRule) -> Evidence:
    pairs = seen.labelled()
    if seen.task == "binary":
        return guards.calibration(pairs.first[:, 0], pairs.second[:, 0], pairs.labels, rule)
    if seen.task == "multiclass":
        # of the class that each is surest of: is it right as often as it says?
        tops = [scores.argmax(axis=1) for scores in (pairs.first, pairs.second)]
        gaps = [scores.max(axis=1) - (top == pairs.labels) for scores, top in zip((pairs.first, pairs.second), tops, strict=True)]
        return guards.calibration(gaps[0], gaps[1], np.zeros(len(pairs.labels)), rule)
    errors = [np.clip((scores[:, 0] - pairs.labels) / seen.scale, -1.0, 1.0) for scores in (pairs.first, pairs.second)]
    return guards.calibration(errors[0], errors[1], np.zeros(len(pairs.labels)), rule)


def _disagreement(seen: _Seen, rule: GuardRule) -> Evidence:
    pairs = seen.scored()
    if seen.task == "regression":
        apart = np.minimum(np.abs(pairs.second[:, 0] - pairs.first[:, 0]) / seen.scale, 1.0)
        return guards.disagreement(np.zeros(len(apart)), apart, rule)
    if seen.task == "multiclass":
        decided = [scores.argmax(axis=1) for scores in (pairs.first, pairs.second)]
        return guards.disagreement(np.zeros(len(pairs.rows)), (decided[0] != decided[1]).astype(np.float64), rule)
    old, new = (seen.threshold(unit) for unit in (seen.champion, seen.release.challenger))
    return guards.disagreement(pairs.first[:, 0] >= old, pairs.second[:, 0] >= new, rule)


def _score_shift(seen: _Seen, rule: GuardRule) -> Evidence:
    pairs = seen.scored()
    return guards.score_shift(seen.unit_scores(pairs.first), seen.unit_scores(pairs.second), rule)


def _reward(seen: _Seen, rule: GuardRule) -> Evidence:
    known = seen.rewards()
    return guards.reward(known.values, known.challengers, known.looks, rule)


def _latency(seen: _Seen, rule: GuardRule) -> Evidence:
    both = seen.matched()
    told = ~np.isnan(both.latencies_ms)
    return guards.latency(both.latencies_ms[told & ~both.challengers], both.latencies_ms[told & both.challengers], rule)


def _latency_shape(seen: _Seen, rule: GuardRule) -> Evidence:
    both = seen.matched()
    told = ~np.isnan(both.latencies_ms)
    return guards.shape(both.latencies_ms[told], both.challengers[told], both.periods[told], rule)


def _score_shape(seen: _Seen, rule: GuardRule) -> Evidence:
    both = seen.matched()
    return guards.shape(both.scores, both.challengers, both.periods, rule)


def _rewards_seen(known: Rewards) -> tuple[RewardSeen, ...]:
    return tuple(map(_seen_of, (known.values[~known.challengers], known.values[known.challengers])))


def _seen_of(rewards: Floats) -> RewardSeen:
    if not rewards.size:
        return RewardSeen(n=0, mean=0.0, variance=0.0)
    return RewardSeen(n=int(rewards.size), mean=float(f"{rewards.mean():.8g}"), variance=float(f"{rewards.var():.8g}"))


_QUESTIONS: dict[str, Callable[[_Seen, GuardRule], Evidence]] = {
    "loss": _loss,
    "failure_rate": _failure_rate,
    "calibration": _calibration,
    "disagreement": _disagreement,
    "score_shift": _score_shift,
    "reward": _reward,
    "latency_p50_ms": _latency,
    "latency_p95_ms": _latency,
    "latency_p99_ms": _latency,
    "latency_shape": _latency_shape,
    "score_shape": _score_shape,
}
